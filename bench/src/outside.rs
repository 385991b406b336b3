//! What agents reach in the benchmark beside plain answers: a model that calls a tool first, the API behind an HTTP tool,
//! and an MCP server. All of it answers at once.

use bytes::Bytes;
use serde_json::{Value, json};

/// What the API behind the tool says of every order.
pub(crate) const ORDER: &str =
    r#"{"order_id":"A-1","status":"shipped","items":[{"sku":"TB-4471","count":2}],"total":129.95}"#;

/// The arguments of a call of any tool.
fn arguments(tool: &str) -> Value {
    match tool {
        "ask_agent" => json!({ "agent": "assistant", "input": "How many seats do we have left?" }),
        _ => json!({ "order_id": "A-1" }),
    }
}

/// The answer of a model that has to call a tool: of one that is named after it, as long as it has seen no result.
pub(crate) fn call(question: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(question).unwrap_or_default();
    let (_, named) = text.split_once(r#""model":"calls-"#)?;
    let (tool, _) = named.split_once('"')?;
    if text.contains(r#""role":"tool""#) {
        return None;
    }
    let function = json!({ "name": tool, "arguments": arguments(tool).to_string() });
    let body = json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_767_225_600, "model": "mock-1",
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": null,
                "tool_calls": [{ "id": "call_1", "type": "function", "function": function }],
            },
            "finish_reason": "tool_calls",
        }],
        "usage": { "prompt_tokens": 64, "completion_tokens": 12, "total_tokens": 76 },
    });
    Some(Bytes::from(body.to_string()))
}

/// The answer of an MCP server with one tool, of the revision 2026-07-28.
pub(crate) fn mcp(message: &[u8]) -> Bytes {
    let message: Value = serde_json::from_slice(message).unwrap_or_default();
    let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
    let result = match method {
        "server/discover" => {
            json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} })
        }
        "tools/list" => json!({ "resultType": "complete", "ttlMs": 600_000, "tools": [{
            "name": "get_order", "description": "Looks an order up by its number.",
            "annotations": { "readOnlyHint": true },
            "inputSchema": {
                "type": "object", "required": ["order_id"], "properties": { "order_id": { "type": "string" } },
            },
        }] }),
        _ => json!({ "resultType": "complete", "content": [{ "type": "text", "text": ORDER }] }),
    };
    let id = message.get("id").cloned().unwrap_or_default();
    Bytes::from(json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_calls_its_tool_once() {
        let body = call(br#"{"model":"calls-ask_agent","messages":[{"role":"user","content":"x"}]}"#).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let function = &body["choices"][0]["message"]["tool_calls"][0]["function"];
        assert_eq!(function["name"], "ask_agent");
        assert!(function["arguments"].as_str().unwrap().contains(r#""agent":"assistant""#));
        assert!(call(br#"{"model":"calls-x","messages":[{"role":"tool","content":"x"}]}"#).is_none());
        assert!(call(br#"{"model":"mock-1","messages":[]}"#).is_none());
    }
}
