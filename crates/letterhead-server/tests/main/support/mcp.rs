//! Requests to `/mcp`, in both revisions of the protocol, and what comes back.

use letterhead_testkit::ScriptedLlm;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Answered, House};

pub(crate) const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers:
  required: [user_name]
  properties: { user_name: { type: string, maxLength: 16 }, seats: { type: integer } }
agents:
  assistant: { description: Answers questions., instructions: "Serve {{ headers.user_name }}.", delegates: [researcher] }
  researcher: { description: Finds facts., instructions: Find facts. }
  billing: { instructions: Bill. }
entry: assistant
"#;

pub(crate) const NEW: &str = "2026-07-28";
pub(crate) const OLD: &str = "2025-11-25";
pub(crate) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

pub(crate) async fn open() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

/// What a turn is called with in the tests that are about something else.
pub(crate) fn arguments() -> Value {
    json!({ "input": "Hi" })
}

impl House {
    pub(crate) fn mcp(&self, body: &Value) -> RequestBuilder {
        self.post("/mcp", body).header("accept", "application/json, text/event-stream")
    }

    /// A request of the newest revision, with all that it has to say about itself.
    pub(crate) fn new_mcp(&self, method: &str, mut params: Value) -> RequestBuilder {
        let meta = params.as_object_mut().unwrap().entry("_meta").or_insert_with(|| json!({}));
        meta[VERSION] = NEW.into();
        meta[CAPABILITIES] = json!({});
        let request = self.mcp(&rpc(method, &params)).header("mcp-protocol-version", NEW).header("mcp-method", method);
        match params["name"].as_str() {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// A request of the revisions before it.
    pub(crate) fn old_mcp(&self, method: &str, params: &Value) -> RequestBuilder {
        self.mcp(&rpc(method, params)).header("mcp-protocol-version", OLD)
    }

    /// A call of a tool in one of the two manners.
    pub(crate) fn call_tool(&self, revision: &str, name: &str, arguments: &Value) -> RequestBuilder {
        let params = json!({ "name": name, "arguments": arguments });
        let request =
            if revision == NEW { self.new_mcp("tools/call", params) } else { self.old_mcp("tools/call", &params) };
        request.header("user_name", "Ada")
    }
}

pub(crate) fn rpc(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// The result of an answer that is one.
#[track_caller]
pub(crate) fn result(answered: &Answered) -> Value {
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.header("content-type"), Some("application/json"), "{}", answered.text);
    let body = answered.json();
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(7)), "{body}");
    body.get("result").unwrap_or_else(|| panic!("{body}")).clone()
}

/// The error of an answer that is one.
#[track_caller]
pub(crate) fn error(answered: &Answered, status: u16, code: i64) -> Value {
    assert_eq!(answered.status, status, "{}", answered.text);
    assert_eq!(answered.header("content-type"), Some("application/json"), "{}", answered.text);
    let body = answered.json();
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(body.get("result").is_none(), "{body}");
    body["error"].clone()
}
