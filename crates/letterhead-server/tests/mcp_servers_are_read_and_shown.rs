//! `mcp_servers:` is read whole, its faults have places, and `check` and `map` know what goes there.
#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

mod answering;
mod printing;

use answering::turn;
use letterhead_testkit::{Answer, ScriptedApi};
use printing::printed;
use serde_json::json;

const CONFIG: &str = r#"
store: memory
headers:
  properties:
    org_name: { type: string }
    auth_token: { type: string, writeOnly: true }
egress: { allow: ["127.0.0.1"] }
mcp_servers:
  crm:
    url: https://crm.example.com/mcp
    headers:
      Authorization: "Bearer {{ headers.auth_token }}"
      X-Org: { value: "{{ headers.org_name }}", per_call: true }
    tools: { "customers.add": add }
  spare: { url: "https://crm.example.com/gone", optional: true, shared: true, trace: false, timeout: 1s }
agents:
  assistant: { tools: [crm, spare] }
"#;

#[test]
fn check_shows_what_would_be_sent_and_map_where_it_goes() {
    let with_token = ["check", "-H", "auth_token: t-canary", "-H", "org_name: Acme"];
    let shown = printed(CONFIG, &with_token, 0);
    for part in
        ["What is sent to mcp_servers.crm", "POST https://crm.example.com/mcp", "X-Org", "Acme", "headers.auth_token"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let refused = printed(CONFIG, &["check", "-H", "org_name: Acme"], 1);
    assert!(refused.contains("missing_credential") && refused.contains("mcp_servers.crm"), "{refused}");
    let map = printed(CONFIG, &["map"], 0);
    let row = map.lines().find(|line| line.starts_with("auth_token")).unwrap();
    assert!(row.contains("mcp_servers.crm") && row.contains("https://crm.example.com"), "{map}");
}

#[test]
fn faults_have_their_places() {
    let wrong = CONFIG
        .replace("https://crm.example.com/gone", "http://10.0.0.1/mcp")
        .replace("{ \"customers.add\": add }", "{ add: \"a b\", customers.add: add }")
        .replace("      X-Org:", "      Mcp-Session-Id:")
        .replace("{{ headers.auth_token }}", "{{ headers.auth_tokn }}")
        .replace("[crm, spare]", "[crm, sprae]");
    let told = printed(&wrong, &["check"], 1);
    for part in [
        "letterhead.yaml:12:33: ",
        "did you mean `headers.auth_token`?",
        "letterhead.yaml:13:",
        "`mcp-session-id` belongs to the protocol",
        "letterhead.yaml:14:19: ",
        "`a b` cannot be the name of a tool",
        "letterhead.yaml:15:",
        "add `\"10.0.0.1\"` to `egress.allow`",
        "letterhead.yaml:17:",
        "did you mean `spare`?",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let unused = printed(&CONFIG.replace("[crm, spare]", "[crm]"), &["check"], 0);
    assert!(unused.contains("nothing uses `spare`: no agent has it among its `tools`"), "{unused}");
    let optional = printed(&CONFIG.replace("com/gone", "com/{{ headers.org_name }}"), &["check"], 0);
    assert!(optional.contains("`mcp_servers.spare` cannot be asked without it"), "{optional}");
    for (key, value) in [("tools", "[]"), ("headers", "{X-A: {per_call: true}}"), ("timeout", "0s"), ("url", "''")] {
        let text =
            format!("mcp_servers: {{crm: {{url: 'https://a', {key}: {value}}}}}\nagents: {{a: {{tools: [crm]}}}}\n");
        let text = if key == "url" { text.replace("url: 'https://a', ", "") } else { text };
        assert!(printed(&text, &["check"], 1).contains("letterhead.yaml:1:"), "{key}");
    }
}

#[tokio::test]
async fn a_turn_uses_the_tools_as_configured() {
    let api = ScriptedApi::start().await;
    api.on("/gone").always(|_| Answer::status(500));
    api.on("/mcp").always(|request| {
        let message = request.json();
        let result = match message["method"].as_str().unwrap() {
            "server/discover" => json!({ "supportedVersions": ["2026-07-28"] }),
            "tools/list" => {
                let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
                json!({ "tools": [tool("customers.add"), tool("customers.drop")] })
            }
            _ => json!({ "content": [{ "type": "text", "text": message["params"]["name"] }] }),
        };
        Answer::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    });
    let config = CONFIG.replace("https://crm.example.com", &api.url(""));
    let outcome = turn(&config, "/tool crm_add {\"name\": \"Ada\"}").await;
    assert!(outcome.output.contains("customers.add"), "{}", outcome.output);
    let calls = api.requests_to("/mcp");
    assert_eq!(calls.len(), 3);
    for call in &calls {
        assert_eq!((call.header("authorization"), call.header("x-org")), (vec!["Bearer t-canary"], vec!["Acme"]));
    }
    let gone: Vec<_> = outcome.trail.iter().filter(|entry| &*entry.destination == "mcp_servers.spare").collect();
    assert!(gone[0].reason.as_deref().expect("it failed").contains("status 500"), "{gone:?}");
}
