//! PROTOCOLS, the UI message stream: who asks for the answer in one piece gets the message that a client makes of the stream.

use letterhead_testkit::{Answer, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{Event, House, Send};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
egress: { allow: ["@HOST@"] }
tools:
  look:
    parameters: { type: object, required: [at], properties: { at: { type: string } } }
    url: "@API@/{{ args.at }}"
  refund: { url: "@API@/refunds", method: POST, approve: true }
agents:
  assistant: { instructions: Help., tools: [look, refund], handoffs: [billing], delegates: [clerk] }
  billing:   { description: Invoices., instructions: You handle billing. }
  clerk:     { description: Refunds., instructions: You refund. }
entry: assistant
"#;

/// A model's answer.
fn says(text: &str) -> Value {
    json!({ "content": text })
}

/// A model's answer that calls something. All ids are the same: some models begin anew with every answer.
fn calls(name: &str, arguments: &Value) -> Value {
    let function = json!({ "name": name, "arguments": arguments.to_string() });
    json!({ "content": "Well.", "tool_calls": [{ "index": 0, "id": "call_0", "type": "function", "function": function }] })
}

fn answer(said: &Value, stream: bool) -> Answer {
    let finish = if said.get("tool_calls").is_some() { "tool_calls" } else { "stop" };
    let choice = |name: &str| json!({ "choices": [{ "index": 0, name: said, "finish_reason": finish }] });
    if stream {
        Answer::sse([choice("delta").to_string(), "[DONE]".to_owned()])
    } else {
        Answer::json(&choice("message"))
    }
}

/// The message that a client makes of a stream: its parts, and who has the conversation.
fn built(events: &[Event]) -> (Vec<Value>, Value) {
    let (mut parts, mut agent) = (Vec::<Value>::new(), Value::Null);
    for chunk in events.iter().filter(|event| event.data != "[DONE]").map(Event::json) {
        if let Some(told) = chunk["messageMetadata"].get("agent") {
            agent = told.clone();
        }
        let of_call = parts.iter().rposition(|part| part["toolCallId"] == chunk["toolCallId"]);
        match chunk["type"].as_str().unwrap() {
            "start-step" => parts.push(json!({ "type": "step-start" })),
            "text-start" => parts.push(json!({ "type": "text", "text": "", "state": "done" })),
            "text-delta" => {
                let part = parts.last_mut().unwrap();
                part["text"] = [&part["text"], &chunk["delta"]].map(|text| text.as_str().unwrap()).concat().into();
            }
            "tool-input-available" => {
                let mut part = chunk.clone();
                part["state"] = "input-available".into();
                if part.as_object_mut().unwrap().remove("dynamic").is_some() {
                    part["type"] = "dynamic-tool".into();
                } else {
                    part["type"] = format!("tool-{}", chunk["toolName"].as_str().unwrap()).into();
                    part.as_object_mut().unwrap().remove("toolName");
                }
                parts.push(part);
            }
            "tool-output-available" => {
                let part = &mut parts[of_call.unwrap()];
                (part["state"], part["output"]) = ("output-available".into(), chunk["output"].clone());
            }
            "tool-approval-request" => {
                let part = &mut parts[of_call.unwrap()];
                // Another turn's message has another id.
                (part["state"], part["approval"]) = ("approval-requested".into(), json!({ "id": "[approval]" }));
            }
            "start" | "text-end" | "finish-step" | "finish" | "message-metadata" => {}
            other => panic!("{other}"),
        }
    }
    (parts, agent)
}

#[tokio::test]
async fn whatever_happens_in_it() {
    let (llm, api) = (ScriptedLlm::start().await, ScriptedApi::start().await);
    let house = House::open(&llm, &YAML.replace("@HOST@", &api.host()).replace("@API@", &api.url(""))).await;
    api.on("/a").json(&json!({ "place": "a" }));
    api.on("/b").json(&json!({ "place": "b" }));
    api.on("/words").always(|_| Answer::text("some words"));
    let look = |at: &str| calls("look", &json!({ "at": at }));
    let asks = calls("ask_agent", &json!({ "agent": "clerk", "input": "?" }));
    let pick = json!({ "type": "function", "function": { "name": "pick", "parameters": { "type": "object" } } });
    for (at, said) in [
        vec![says("Hello.")],
        vec![json!({ "content": null, "refusal": "I will not." })],
        vec![json!({ "content": "Sorry: ", "refusal": "I will not." })],
        vec![look("words"), says("Words.")],
        // Each call has its own result, whatever it is called.
        vec![look("a"), look("b"), says("Both.")],
        vec![calls("handoff_to_billing", &json!({})), says("Billing here.")],
        vec![asks, says("I am the clerk."), says("The clerk has answered.")],
        vec![look("a"), calls("pick", &json!({ "one": 1 }))],
        vec![look("a"), calls("refund", &json!({}))],
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({ "messages": [{ "role": "user", "content": "Do it" }], "tools": [pick] });
        for said in &said {
            llm.then(answer(said, true));
        }
        let streamed = house.post("/api/chat", &body).answered().await.events();
        body["stream"] = false.into();
        for said in &said {
            llm.then(answer(said, false));
        }
        let whole = house.post("/api/chat", &body).answered().await.json()["message"].clone();
        let mut parts = whole["parts"].as_array().unwrap().clone();
        for part in parts.iter_mut().filter(|part| part.get("approval").is_some()) {
            part["approval"]["id"] = "[approval]".into();
        }
        assert_eq!((parts, whole["metadata"]["agent"].clone()), built(&streamed), "{at}: {said:?}");
    }
}
