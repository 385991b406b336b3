//! CONTRACT 9: where nothing can be stored, turns are refused, and the process lives on.
#![cfg(unix)]

use reqwest::Client;

use crate::support::{Program, Send, said};

const YAML: &str = "store: sqlite://letterhead.db\nagents: { assistant: { instructions: Hi. } }";

#[tokio::test]
async fn a_file_that_may_not_grow_ends_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    std::fs::write(&config, YAML).unwrap();
    let program = Program::start_after("ulimit -f 1024", &config, &folder.path().join("log")).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let mut stored = 0;
    let refused = loop {
        let turn = client.post(format!("{}/api/v1/chat/completions", program.url)).json(&said(&"x".repeat(60_000)));
        let answered = turn.answered().await;
        if answered.status != 200 {
            break answered;
        }
        stored += 1;
        assert!(stored < 100, "it may write what it likes");
    };
    refused.problem(503, "store_unavailable");
    // What was announced can be read.
    let listed = client.get(format!("{}/api/v1/sessions", program.url)).answered().await;
    assert_eq!((listed.status, listed.json()["data"].as_array().unwrap().len()), (200, stored));
}
