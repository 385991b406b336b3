//! CONTRACT 12: `letterhead export` prints what is kept of a session, without secrets, while the server runs.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Program, Send, said};

const YAML: &str = "store: sqlite://letterhead.db
headers:
  properties:
    plan: { type: string }
    auth_token: { type: string, writeOnly: true }
agents: { assistant: { instructions: 'You help {{ headers.plan }}.' } }";

const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

fn export(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
    command.current_dir(folder).arg("export").args(arguments).env("LETTERHEAD_KEY", KEY);
    command.output().unwrap()
}

#[tokio::test]
async fn while_the_server_runs_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    std::fs::write(&config, YAML).unwrap();
    let none_yet = export(folder.path(), &["sess-456"]);
    assert!(!none_yet.status.success() && !folder.path().join("letterhead.db").exists());

    let mut program = Program::start_with(&config, &folder.path().join("log"), &[("LETTERHEAD_KEY", KEY)]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/api/v1/chat/completions/sess-456", program.url)).json(&said("Hello there"));
    let request = request.header("plan", "gold").header("auth-token", "canary-1").header("x-user-id", "ada");
    request.answered().await;

    for stopped in [false, true] {
        if stopped {
            program.terminate();
            assert!(program.ended().await.success());
        }
        let exported = export(folder.path(), &["sess-456", "--user", "ada"]);
        let text = String::from_utf8(exported.stdout).unwrap();
        assert!(exported.status.success() && !text.contains("canary"), "{text}");
        assert!(!String::from_utf8(exported.stderr).unwrap().contains("not even by name"));
        let session: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&session["id"], &session["user"], &session["tenant"]),
            (&"sess-456".into(), &"ada".into(), &"default".into())
        );
        assert_eq!(session["messages"][0]["body"]["content"], "Hello there");
        assert_eq!(session["messages"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&session["headers"][0]["field"], &session["headers"][0]["value"]),
            (&"plan".into(), &"gold".into())
        );
        assert_eq!((&session["headers"][1]["field"], session["headers"][1].get("value")), (&"auth_token".into(), None));
        assert!(session["trail"].as_array().unwrap().iter().any(|entry| entry["header"] == "plan"));
    }
    // Without the key the secret cannot even be named, and that is said.
    let mut keyless = Command::new(env!("CARGO_BIN_EXE_letterhead"));
    keyless.current_dir(folder.path()).args(["export", "sess-456", "--user", "ada"]).env_remove("LETTERHEAD_KEY");
    let exported = keyless.output().unwrap();
    let (text, told) = (String::from_utf8(exported.stdout).unwrap(), String::from_utf8(exported.stderr).unwrap());
    assert!(exported.status.success() && !text.contains("\"auth_token\""), "{text}");
    assert!(told.contains("not even by name") && told.contains("`LETTERHEAD_KEY` is not set"), "{told}");
    // The same id of others is another session, and there is none.
    for others in
        [&["sess-456"][..], &["sess-456", "--user", "eve"], &["sess-456", "--user", "ada", "--tenant", "acme"]]
    {
        let refused = export(folder.path(), others);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && told.contains("no such session"), "{told}");
    }
}
