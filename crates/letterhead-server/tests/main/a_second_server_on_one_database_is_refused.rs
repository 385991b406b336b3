//! CONTRACT 7: one server has an SQLite file; after a crash the next one takes it over.

use std::path::{Path, PathBuf};

use crate::support::{Program, Send, said};

const YAML: &str = "store: sqlite://letterhead.db\nagents: { assistant: { instructions: Hi. } }";

fn config(folder: &Path) -> PathBuf {
    let config = folder.join("letterhead.yaml");
    std::fs::write(&config, YAML).unwrap();
    config
}

async fn say(program: &Program) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/api/v1/chat/completions/s", program.url)).json(&said("Hi"));
    request.answered().await.content()
}

#[tokio::test]
async fn while_the_first_runs_and_not_after_it_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let first = Program::start(&config, &folder.path().join("log-1")).await;
    assert!(say(&first).await.contains("I was sent 1 message."));
    let told = Program::fails(&config, &folder.path().join("log-2"));
    assert!(told.contains("letterhead.db") && told.contains("another"), "{told}");
    // The first goes on undisturbed, and nothing that it announced is lost when it is killed.
    assert!(say(&first).await.contains("I was sent 3 messages."));
    first.kill();
    let second = Program::start(&config, &folder.path().join("log-3")).await;
    assert!(say(&second).await.contains("I was sent 5 messages."));
}

#[tokio::test]
async fn a_termination_stores_and_closes_in_named_phases() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut program = Program::start(&config, &folder.path().join("log")).await;
    say(&program).await;
    program.terminate();
    assert!(program.ended().await.success());
    let said = program.said();
    let phase = |name: &str| said.find(&format!(r#""phase":"{name}""#)).unwrap_or_else(|| panic!("{name}: {said}"));
    assert!(phase("drain") < phase("closed"));
    assert!(!folder.path().join("letterhead.db-wal").exists(), "the database is closed");
}
