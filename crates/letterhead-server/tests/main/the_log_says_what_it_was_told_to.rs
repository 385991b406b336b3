//! CONTRACT 12: `RUST_LOG` governs this program's own lines; those of dependencies, which may hold values, are let through below
//! INFO only where somebody has asked for them.

use letterhead_testkit::{Reply, ScriptedLlm};
use reqwest::Client;
use serde_json::Value;

use crate::support::{Program, Send, said};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:m
agents: { assistant: { instructions: Hi. } }
"#;

/// What a server logs that answers once, with this in its environment.
async fn logged(env: &[(&str, &str)]) -> Vec<Value> {
    let (llm, folder) = (ScriptedLlm::start().await, tempfile::tempdir().unwrap());
    let config = folder.path().join("letterhead.yaml");
    std::fs::write(&config, YAML.replace("${LLM}", &llm.openai_url())).unwrap();
    llm.then(Reply::text("Hello."));
    let mut program = Program::start_with(&config, &folder.path().join("log"), env).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let asked = client.post(format!("{}/v1/chat/completions", program.url)).json(&said("Hi"));
    assert_eq!(asked.answered().await.content(), "Hello.");
    program.terminate();
    assert!(program.ended().await.success());
    program.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn of_dependencies(lines: &[Value]) -> usize {
    let is_fine = |line: &&Value| ["DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap());
    let is_ours = |line: &&Value| line["target"].as_str().unwrap().starts_with("letterhead");
    lines.iter().filter(is_fine).filter(|line| !is_ours(line)).count()
}

#[tokio::test]
async fn dependencies_are_heard_below_info_where_they_were_asked_for() {
    assert_eq!(of_dependencies(&logged(&[("RUST_LOG", "trace")]).await), 0);
    let lines = logged(&[("RUST_LOG", "trace"), ("LETTERHEAD_LOG_DEPENDENCIES", "1")]).await;
    assert!(of_dependencies(&lines) > 0, "{lines:#?}");
    let warned =
        |line: &Value| line["message"].as_str().is_some_and(|told| told.contains("LETTERHEAD_LOG_DEPENDENCIES"));
    assert!(lines.iter().any(warned), "{lines:#?}");
}

#[tokio::test]
async fn a_filter_that_is_none_is_told_and_the_usual_one_holds() {
    let lines = logged(&[("RUST_LOG", "letterhead=debgu")]).await;
    let told = |line: &Value| line["level"] == "WARN" && line["message"].as_str().unwrap().contains("`RUST_LOG`");
    assert!(lines.iter().any(told), "{lines:#?}");
    assert!(lines.iter().any(|line| line["status"] == 200), "the line of the request: {lines:#?}");
}
