//! `letterhead map` shows where headers can go, `letterhead check -H` what a request would send; neither shows a secret.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "the functions that tests share fail by panicking, as tests do"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const CONFIG: &str = r##"
store: sqlite://never-opened.db
model: main:small
providers:
  main: { kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: "${CANARY_KEY}", headers: { X-App: desk, X-Environment: production, X-Gateway: "${CANARY_GATEWAY}" } }
  other: { kind: anthropic, base_url: "http://127.0.0.1:1", api_key: "{{ headers.llm_key }}" }
env: [REGION_CODE]
headers:
  required: [user_id]
  properties:
    user_id: { type: string, maxLength: 64 }
    org_name: { type: string }
    team: { type: string }
    unused: { type: string }
    llm_key: { type: string, writeOnly: true }
    auth_token: { type: string, writeOnly: true }
runtime_headers: [X-Request-ID, X-Environment, X-User-Id, Team, "X-Trace-*"]
agents:
  assistant:
    instructions: |
      You help {{ headers.user_id }} of {{ headers.org_name | default("nowhere") }}.
      The caller is {{ caller.user_id }}.
    headers: { X-Org: "{{ headers.org_name }}", X-Token: "t {{ headers.auth_token | upper }}", X-Region: "{{ env.REGION_CODE }}", X-Environment: staging }
    handoffs: [own-key]
  own-key: { instructions: Be brief., model: "other:big", requires: [llm_key] }
entry: assistant
"##;

/// What stands in a secret, and may be seen nowhere.
const CANARY: &str = "canary";

fn letterhead(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_letterhead"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("CANARY_KEY", "sk-canary")
        .env("CANARY_GATEWAY", "gw-canary")
        .env("REGION_CODE", "eu-canary")
        .output()
        .expect("the command runs")
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letterhead.yaml"), CONFIG).unwrap();
    folder
}

/// What a command prints, if it ends as expected and shows no secret.
#[track_caller]
fn printed(arguments: &[&str], code: i32) -> String {
    let folder = folder();
    let output = letterhead(folder.path(), arguments);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(!format!("{out}{err}").to_lowercase().contains(CANARY), "{out}{err}");
    assert!(!folder.path().join("never-opened.db").exists(), "nothing is stored");
    assert!(!out.contains('\u{1b}'), "a pipe gets no colour");
    out
}

#[test]
fn the_map_is_a_table_from_headers_and_one_to_destinations() {
    insta::assert_snapshot!(printed(&["map"], 0));
}

#[test]
fn the_map_is_a_document_for_programs() {
    let text = printed(&["map", "--format", "json"], 0);
    let map: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(map["version"], 1);
    insta::assert_snapshot!(text);
}

#[test]
fn the_map_is_a_flowchart() {
    insta::assert_snapshot!(printed(&["map", "--format", "mermaid"], 0));
}

#[test]
fn a_choice_of_models_that_is_narrowed_narrows_the_map() {
    let folder = folder();
    let narrow = format!("{CONFIG}allow_models: [\"main:*\"]\n");
    std::fs::write(folder.path().join("letterhead.yaml"), narrow).unwrap();
    let output = letterhead(folder.path(), &["map", "--format", "json"]);
    let map: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ways = map["headers"].as_array().unwrap().iter().flat_map(|header| header["reaches"].as_array().unwrap());
    for way in ways.filter(|way| way["destination"].as_str().unwrap().starts_with("agents.assistant.")) {
        assert_eq!(way["providers"], serde_json::json!(["providers.main"]));
        assert_eq!(way["providers_by_choice"], serde_json::json!([]), "{way}");
    }
}

#[test]
fn every_example_has_a_map() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for example in std::fs::read_dir(examples).unwrap() {
        let folder = example.unwrap().path();
        // What its README makes before it checks: the key of the several organisations' directory.
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(folder.join("letterhead.yaml"), copy.path().join("letterhead.yaml")).unwrap();
        std::fs::write(copy.path().join("directory-key"), "k_Lapwing").unwrap();
        for format in ["table", "json", "mermaid"] {
            let output = letterhead(copy.path(), &["map", "--format", format]);
            assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
            let map = String::from_utf8(output.stdout).unwrap();
            assert!(map.contains("providers.") || map.contains("mcp_servers."), "{}", folder.display());
        }
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn a_dry_run_shows_what_would_be_told_and_sent() {
    let headers = ["-H", "User-Id: u_1", "-H", "org_name: Acme Corp", "-H", "auth_token: canary"];
    let more = ["-H", "X-Environment: test", "-H", "X-Debug: on", "-H", "X-Trace-Token: canary", "-H", "Team: blue"];
    let arguments = [&["check"][..], &headers, &more, &["--user", "verified-user", "--tenant", "t_1"]].concat();
    insta::assert_snapshot!(printed(&arguments, 0));
}

#[test]
fn a_dry_run_takes_another_agent_and_model() {
    let told = printed(&["check", "-H", "user_id: u_1", "-H", "llm_key: canary", "--agent", "own-key"], 0);
    assert!(told.contains("providers.other") && told.contains("Be brief."), "{told}");
    let key =
        told.lines().find(|line| line.trim_start().starts_with("x-api-key")).expect("the key is shown to be sent");
    assert_eq!(key.split_whitespace().collect::<Vec<_>>(), ["x-api-key", "********", "headers.llm_key", "credential"]);
    let told = printed(&["check", "-H", "user_id: u_1", "-H", "auth_token: canary", "--model", "main:large"], 0);
    assert!(told.contains("model   main:large"), "{told}");
}

#[test]
fn a_dry_run_that_is_refused_lists_every_fault() {
    let faulty = ["check", "-H", "org_name: A", "-H", "Org-Name: canary", "-H", "llm_key: \u{7f}canary"];
    let told = printed(&faulty[..5], 1);
    insta::assert_snapshot!(told, @r"
    A request with these headers is refused: 400 ambiguous_header

      header    code              detail
      org_name  ambiguous_header  sent more than once (`-` and `_` make no difference)
      user_id   missing_header    required, and neither sent nor stored
    ");
    // A credential that is missing stops the call, and the dry run says so.
    let told = printed(&["check", "-H", "user_id: u_1"], 1);
    insta::assert_snapshot!(told, @r"
    A request with these headers is refused: 400 missing_credential

      header      code                detail
      auth_token  missing_credential  `providers.main` needs it for its header `X-Token`, and it was not sent
    ");
    let told = printed(&["check", "--agent", "nobody"], 1);
    assert!(told.contains("404 agent_not_found") && told.contains("`own-key`"), "{told}");
    // What is no header is the command's own fault, and is not shown either.
    printed(&faulty, 1);
}

#[test]
fn without_a_request_check_prints_nothing_but_its_report() {
    assert_eq!(printed(&["check"], 0), "");
}
