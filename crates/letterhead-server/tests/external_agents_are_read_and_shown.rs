//! `external_agents:` is read whole, its faults have places, and `check` and `map` know what goes there.
#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

mod answering;
mod printing;

use answering::turn;
use letterhead_testkit::{A2a, ScriptedAgent};
use printing::printed;

const CONFIG: &str = r#"
store: memory
headers:
  properties:
    org_name: { type: string }
    auth_token: { type: string, writeOnly: true }
egress: { allow: ["127.0.0.1"] }
external_agents:
  legal:
    url: https://legal.example.com
    description: Answers contract questions.
    headers:
      Authorization: "Bearer {{ headers.auth_token }}"
      X-Org: { value: "{{ headers.org_name }}", per_call: true }
  spare: { url: "https://legal.example.com/spare", description: Another one., trace: false, timeout: 1s }
agents:
  assistant: { delegates: [legal, spare, helper] }
  helper: { description: Helps. }
entry: assistant
"#;

#[test]
fn check_shows_what_would_be_sent_and_map_where_it_goes() {
    let with_token = ["check", "-H", "auth_token: t-canary", "-H", "org_name: Acme"];
    let shown = printed(CONFIG, &with_token, 0);
    for part in [
        "What is sent to external_agents.legal",
        "GET https://legal.example.com/.well-known/agent-card.json",
        "X-Org",
        "Acme",
        "headers.auth_token",
        "What is sent to external_agents.spare",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // Without its credential it would not be asked, and the turn goes on.
    let without = printed(CONFIG, &["check", "-H", "org_name: Acme"], 0);
    assert!(!without.contains("What is sent to external_agents.legal"), "{without}");
    let map = printed(CONFIG, &["map"], 0);
    let row = map.lines().find(|line| line.starts_with("auth_token")).unwrap();
    assert!(row.contains("external_agents.legal") && row.contains("https://legal.example.com"), "{map}");
}

#[test]
fn faults_have_their_places() {
    let wrong = CONFIG
        .replace("https://legal.example.com/spare", "http://10.0.0.1/")
        .replace("      X-Org:", "      A2A-Version:")
        .replace("{{ headers.auth_token }}", "{{ headers.auth_tokn }}")
        .replace("[legal, spare, helper]", "[legal, sprae, helper]");
    let told = printed(&wrong, &["check"], 1);
    for part in [
        "letterhead.yaml:13:33: ",
        "did you mean `headers.auth_token`?",
        "letterhead.yaml:14:",
        "`a2a-version` belongs to the protocol",
        "letterhead.yaml:15:",
        "add `\"10.0.0.1\"` to `egress.allow`",
        "letterhead.yaml:17:",
        "did you mean `spare`?",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let same = printed(&CONFIG.replace("  helper: {", "  legal: {}\n  helper: {"), &["check"], 1);
    assert!(same.contains("letterhead.yaml:9:") && same.contains("an agent has this name too"), "{same}");
    let history = printed(&CONFIG.replace("[legal,", "[{ agent: legal, history: true },"), &["check"], 1);
    assert!(history.contains("an external agent sees its input alone"), "{history}");
    let unused = printed(&CONFIG.replace("[legal, spare,", "[legal,"), &["check"], 0);
    assert!(unused.contains("nothing uses `spare`: no agent has it among its `delegates`"), "{unused}");
    let silent = printed(&CONFIG.replace(" description: Another one.,", ""), &["check"], 0);
    assert!(silent.contains("other agents may ask `spare`, but nothing says what it is good for"), "{silent}");
    let optional = printed(&CONFIG.replace("com/spare", "com/{{ headers.org_name }}"), &["check"], 0);
    assert!(optional.contains("`external_agents.spare` cannot be asked without it"), "{optional}");
    for (part, with) in [
        ("delegates:", "handoffs: [legal], delegates:"),
        ("delegates:", "tools: [legal], delegates:"),
        ("entry: assistant", "entry: legal"),
    ] {
        let told = printed(&CONFIG.replace(part, with), &["check"], 1);
        assert!(told.contains("`legal` is an external agent: it can only be a delegate"), "{with}: {told}");
        assert!(told.contains("letterhead.yaml: 1 error"), "one thing is wrong: {told}");
    }
    for (key, value) in [("headers", "{X-A: {per_call: true}}"), ("timeout", "0s"), ("url", "''"), ("shared", "true")] {
        let text = format!(
            "external_agents: {{legal: {{url: 'https://a', {key}: {value}}}}}\nagents: {{a: {{delegates: [legal]}}}}\n"
        );
        let text = if key == "url" { text.replace("url: 'https://a', ", "") } else { text };
        assert!(printed(&text, &["check"], 1).contains("letterhead.yaml:1:"), "{key}");
    }
}

#[tokio::test]
async fn a_turn_asks_it_as_configured() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let config = CONFIG.replace("https://legal.example.com", &agent.api.url(""));
    let outcome = turn(&config, "/ask legal May we?").await;
    assert!(outcome.output.contains("You asked: May we?"), "{}", outcome.output);
    assert_eq!(agent.api.requests().len(), 2);
    for request in agent.api.requests() {
        assert_eq!((request.header("authorization"), request.header("x-org")), (vec!["Bearer t-canary"], vec!["Acme"]));
    }
}
