//! CONTRACT 2.5: secrets are stored encrypted where there is a key, and in memory alone where there is none.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use letterhead_server::assembly;
use letterhead_store::{Clock, SystemClock};
use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::Value;

use crate::support::{House, PATIENCE, Program, Send, said};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NEWER: &str = "FEDCBA9876543210FEDCBA9876543210fedcba9876543210fedcba9876543210";
const TOKEN: &str = "tok-c4n4ry";

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers:
  required: [user_id, token]
  properties:
    user_id: { type: string }
    token:   { type: string, writeOnly: true }
agents: { assistant: { instructions: "For {{ headers.user_id }}.", headers: { X-Token: "{{ headers.token }}" } } }
store: "sqlite://${FOLDER}/letterhead.db"
"#;

type Keys<'a> = &'a [(&'a str, &'a str)];

const NONE: Keys<'_> = &[];
const FIRST: Keys<'_> = &[("LETTERHEAD_KEY", KEY)];
const OTHER: Keys<'_> = &[("LETTERHEAD_KEY", NEWER)];
const ROTATED: Keys<'_> = &[("LETTERHEAD_KEY", NEWER), ("LETTERHEAD_KEY_PREVIOUS", KEY)];

async fn scripted() -> ScriptedLlm {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    llm
}

/// A server on the folder's database, with these keys.
async fn open(llm: &ScriptedLlm, folder: &Path, keys: Keys<'_>) -> House {
    let env = |name: &str| match name {
        "LLM" => Some(llm.openai_url()),
        "FOLDER" => Some(folder.display().to_string()),
        _ => keys.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    };
    let checked = assembly::check_text("letterhead.yaml", YAML, &env).unwrap_or_else(|report| panic!("{report}"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = assembly::open_store(&checked, &clock).unwrap();
    House::serve(checked.into_app(store, clock), PATIENCE).await
}

/// Says something without headers. Tells whether the token was there; if not, the answer names it.
async fn has_token(llm: &ScriptedLlm, folder: &Path, keys: Keys<'_>) -> bool {
    let house = open(llm, folder, keys).await;
    let answered = house.say_in("s", "Again").answered().await;
    house.stopped().await;
    if answered.status == 200 {
        assert_eq!(llm.last().header("x-token"), [TOKEN]);
        return true;
    }
    let errors = &answered.problem(400, "missing_header")["errors"];
    assert_eq!((errors.as_array().unwrap().len(), &errors[0]["header"]), (1, &Value::from("token")));
    false
}

async fn send_token(llm: &ScriptedLlm, folder: &Path, keys: Keys<'_>) {
    let house = open(llm, folder, keys).await;
    let sent = house.say_in("s", "Hi").header("user_id", "u_1").header("token", TOKEN);
    assert_eq!(sent.answered().await.status, 200);
    house.stopped().await;
}

#[tokio::test]
async fn with_the_key_it_is_there_and_otherwise_the_answer_names_it() {
    let (llm, folder) = (scripted().await, tempfile::tempdir().unwrap());
    send_token(&llm, folder.path(), FIRST).await;
    assert!(has_token(&llm, folder.path(), FIRST).await);
    assert!(!has_token(&llm, folder.path(), NONE).await);
    send_token(&llm, folder.path(), FIRST).await;
    assert!(!has_token(&llm, folder.path(), OTHER).await);
    send_token(&llm, folder.path(), NONE).await;
    assert!(!has_token(&llm, folder.path(), FIRST).await, "without a key nothing is stored");
}

#[tokio::test]
async fn the_previous_key_decrypts_and_the_next_turn_encrypts_anew() {
    let (llm, folder) = (scripted().await, tempfile::tempdir().unwrap());
    send_token(&llm, folder.path(), FIRST).await;
    assert!(has_token(&llm, folder.path(), ROTATED).await);
    assert!(has_token(&llm, folder.path(), OTHER).await);
}

/// The configuration in a file, for the program.
fn configured(llm: &ScriptedLlm, folder: &Path) -> std::path::PathBuf {
    let config = folder.join("letterhead.yaml");
    let yaml = YAML.replace("${LLM}", &llm.openai_url()).replace("${FOLDER}", &folder.display().to_string());
    std::fs::write(&config, yaml).unwrap();
    config
}

#[tokio::test]
async fn neither_a_file_nor_a_log_nor_an_answer_has_the_secret_or_the_key() {
    let (llm, folder) = (scripted().await, tempfile::tempdir().unwrap());
    let config = configured(&llm, folder.path());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut logs = Vec::new();
    for (run, keys) in [FIRST, ROTATED, FIRST, FIRST].into_iter().enumerate() {
        let log = folder.path().join(format!("log-{run}"));
        let mut program = Program::start_with(&config, &log, keys).await;
        for session in ["s", "t"] {
            let post = client.post(format!("{}/api/v1/chat/completions/{session}", program.url)).json(&said("Hi"));
            let post = if run == 0 { post.header("user_id", "u_1").header("token", TOKEN) } else { post };
            let answered = post.answered().await;
            // From the third on, the key that it was encrypted with last is not there.
            assert_eq!(answered.status, if run < 2 { 200 } else { 400 }, "{}", answered.text);
            assert!(!answered.text.contains(TOKEN));
        }
        if run == 0 {
            for file in std::fs::read_dir(folder.path()).unwrap() {
                is_clean(&file.unwrap().path());
            }
        }
        program.terminate();
        assert!(program.ended().await.success());
        logs.push(program.said());
    }
    for file in std::fs::read_dir(folder.path()).unwrap() {
        is_clean(&file.unwrap().path());
    }
    // Two sessions cannot be read: it is told once.
    let told = logs.iter().map(|log| log.matches("stored secrets cannot be decrypted").count());
    assert_eq!(told.collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert!(!logs.iter().any(|log| log.contains("kept in memory only")));
}

fn is_clean(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    for needle in [TOKEN, KEY, NEWER, &NEWER.to_lowercase()] {
        let shown = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!shown, "{needle} in {}", file.display());
    }
}

#[tokio::test]
async fn a_wrong_key_stops_the_start_and_is_not_shown() {
    let (llm, folder) = (scripted().await, tempfile::tempdir().unwrap());
    let (config, log) = (configured(&llm, folder.path()), folder.path().join("log"));
    let short = &KEY[1..];
    let not_hex = KEY.replace('a', "z");
    for (keys, name) in [
        ([("LETTERHEAD_KEY", short)].as_slice(), "LETTERHEAD_KEY"),
        (&[("LETTERHEAD_KEY", &not_hex)], "LETTERHEAD_KEY"),
        (&[("LETTERHEAD_KEY", "")], "LETTERHEAD_KEY"),
        (&[("LETTERHEAD_KEY", KEY), ("LETTERHEAD_KEY_PREVIOUS", short)], "LETTERHEAD_KEY_PREVIOUS"),
        (&[("LETTERHEAD_KEY_PREVIOUS", short), ("LETTERHEAD_KEY", KEY)], "LETTERHEAD_KEY_PREVIOUS"),
    ] {
        let told = Program::fails_with(&config, &log, keys);
        let expected =
            format!("the environment variable `{name}` is not a key: a key is 64 hexadecimal digits (32 bytes)");
        assert!(told.contains(&expected) && told.contains("`letterhead key new` makes one"), "{told}");
        assert!(!told.contains(&short[8..16]) && !told.contains("bcdef"), "{told}");
    }
    let told = Program::fails_with(&config, &log, &[("LETTERHEAD_KEY_PREVIOUS", KEY)]);
    assert!(told.contains("`LETTERHEAD_KEY_PREVIOUS` is set, but `LETTERHEAD_KEY` is not"), "{told}");
}

#[tokio::test]
async fn check_warns_where_there_is_no_key_and_a_new_one_ends_that() {
    let (llm, folder) = (scripted().await, tempfile::tempdir().unwrap());
    let config = configured(&llm, folder.path());
    let run = |arguments: &[&str], key: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
        command.args(arguments).env_remove("LETTERHEAD_KEY").env_remove("LETTERHEAD_KEY_PREVIOUS");
        let output = command.envs(key.map(|key| ("LETTERHEAD_KEY", key))).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let check = ["check", "--strict", "--config", config.to_str().unwrap()];
    let (passed, _, told) = run(&check, None);
    assert!(
        !passed && told.contains("secrets (`token`) are kept in memory only") && told.contains("letterhead key new")
    );

    let (made, line, _) = run(&["key", "new"], None);
    let key = line.strip_prefix("LETTERHEAD_KEY=").and_then(|line| line.strip_suffix('\n')).unwrap();
    assert!(made && key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(run(&["key", "new"], None).1, line);
    let (passed, _, told) = run(&check, Some(key));
    assert!(passed && !told.contains("warning"), "{told}");
    let (passed, _, told) = run(&check, Some("short"));
    assert!(!passed && told.contains("64 hexadecimal digits") && !told.contains("short"), "{told}");
}
