//! `letterhead demo`: one conversation, from the headers to the trail, with nothing canned.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn demo(arguments: &[&str], temporary: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_letterhead"))
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", temporary)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

/// The text with single blanks, and without the mark of quoted lines: where lines break is not what is tested.
fn flowing(text: &str) -> String {
    text.split_whitespace().filter(|word| *word != ">").collect::<Vec<_>>().join(" ")
}

/// The answers, by the marks in front of their lines.
fn answers(text: &str) -> Vec<String> {
    let (mut answers, mut open) = (Vec::<String>::new(), false);
    for line in text.lines() {
        match (line.strip_prefix("  > "), open) {
            (Some(line), true) => {
                let answer = answers.last_mut().unwrap();
                answer.push(' ');
                answer.push_str(line);
            }
            (Some(line), false) => answers.push(line.to_owned()),
            (None, _) => {}
        }
        open = line.starts_with("  > ");
    }
    answers
}

#[test]
fn it_shows_a_personal_answer_a_remembered_one_and_the_trail() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&[], temporary.path());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing to warn of");

    let answers = answers(&told);
    let [first, second] = answers.as_slice() else { panic!("two answers: {told}") };
    for answer in [first, second] {
        assert!(answer.contains("I am the demo model"), "{answer}");
        assert!(answer.contains("a member of Acme Corp. User ID: u_123"), "{answer}");
    }
    assert!(
        first.contains("You said: \"What can you help me with?\"") && first.contains("I was sent 1 message."),
        "{first}"
    );
    assert!(second.contains("You said: \"And who am I?\"") && second.contains("I was sent 3 messages."), "{second}");

    // Which header went where, turn by turn.
    let flowing = flowing(&told);
    for row in [
        "1 user_id agents.personal-assistant.instructions headers.user_id destination",
        "1 org_name agents.personal-assistant.instructions headers.org_name destination",
        "1 X-Org providers.openai headers.org_name provider",
        "1 X-Agent-ID providers.openai literal agent",
        "1 x-environment providers.openai runtime_headers runtime",
        "2 user_id agents.personal-assistant.instructions headers.user_id destination",
        "2 X-Environment providers.openai literal agent",
        // And what stayed behind.
        "1 auth_token - a secret, and nothing in the configuration names it",
        "1 Authorization - a credential for this server",
        "1 X-Debug - not declared",
        "1 X-Environment providers.openai the provider layer's value: overridden by a later layer",
        "1 X-Environment providers.openai the agent layer's value: overridden by a later layer",
        "2 X-Environment providers.openai the provider layer's value: overridden by a later layer",
    ] {
        assert!(flowing.contains(row), "{row}\n{told}");
    }

    assert!(!told.contains("t_abc"), "the secret is not shown:\n{told}");
    assert!(told.contains("-H \"auth_token: ********\"") && told.contains("-H \"Authorization: ********\""), "{told}");
    assert!(!told.contains('\u{1b}'), "plain on a pipe");
    assert!(told.contains("letterhead init") && told.contains("letterhead serve"));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn its_configuration_can_be_taken_along() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&["--print-config"], temporary.path());
    let path = temporary.path().join("letterhead.yaml");
    std::fs::write(&path, output.stdout).unwrap();
    let checked =
        Command::new(env!("CARGO_BIN_EXE_letterhead")).args(["check", "--config"]).arg(&path).output().unwrap();
    let told = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{told}");
}

#[test]
fn strangers_do_not_reach_it() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&["--serve", "--listen", "0.0.0.0:0"], temporary.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("only this machine may reach it"));
}

#[test]
fn who_reads_no_more_has_what_they_wanted() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
        .arg("demo")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}
