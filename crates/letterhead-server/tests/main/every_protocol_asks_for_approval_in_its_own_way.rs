//! CONTRACT 9, Approvals: how a client is asked, and how it answers, by protocol.

use letterhead_testkit::{Reply, ScriptedApi, ScriptedLlm};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answered, Event, House, Send};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
egress: { allow: ["@HOST@"] }
tools:
  refund:
    parameters: { type: object, properties: { order: { type: string } } }
    url: "@API@/refunds"
    body: { order: "{{ args.order }}" }
    approve: true
agents: { assistant: { instructions: Help., tools: [refund] } }
"#;

struct Scene {
    llm: ScriptedLlm,
    api: ScriptedApi,
    house: House,
}

impl Scene {
    async fn set() -> Self {
        let (llm, api) = (ScriptedLlm::start().await, ScriptedApi::start().await);
        let yaml = YAML.replace("@HOST@", &api.host()).replace("@API@", &api.url(""));
        let house = House::open(&llm, &yaml).await;
        api.on("POST /refunds").json(&json!({ "refunded": true }));
        Self { llm, api, house }
    }

    fn refunds(&self) -> usize {
        self.api.requests_to("/refunds").len()
    }
}

fn refund() -> Reply {
    Reply::tool("refund", json!({ "order": "7" }))
}

fn streamed(messages: &Value) -> Value {
    json!({ "messages": messages, "stream": true, "stream_options": { "include_usage": true } })
}

fn question() -> Value {
    json!([{ "role": "user", "content": "Do it" }])
}

/// The chunk that ends an answer.
#[track_caller]
fn last_choice(events: &[Event]) -> Value {
    let mut chunks = events.iter().rev().filter(|event| event.data != "[DONE]").map(Event::json);
    chunks.find(|chunk| chunk["choices"][0]["finish_reason"].is_string()).unwrap()
}

#[tokio::test]
async fn openais_stream_ends_with_what_is_required() {
    let scene = Scene::set().await;
    scene.llm.then(refund()).then(Reply::text("Refunded."));
    let in_session = |body: &Value| scene.house.post("/v1/chat/completions", body).header("X-Session-Id", "v");
    let paused = in_session(&streamed(&question())).answered().await.events();
    assert!(paused.iter().all(|event| event.name.is_none()), "{paused:?}");
    let end = last_choice(&paused);
    assert_eq!((&end["choices"][0]["finish_reason"], &end["usage"]), (&json!("stop"), &Value::Null));
    let asked = &end["requires_action"]["approvals"][0];
    assert_eq!(end["requires_action"]["type"], "approval");
    assert_eq!((&asked["name"], &asked["arguments"]), (&json!("refund"), &json!(r#"{"order":"7"}"#)));
    assert!(
        paused.iter().all(|event| !event.data.contains("tool_calls\":")),
        "the agent's own calls are not the client's"
    );

    let mut body = streamed(&json!([]));
    body["approvals"] = json!([{ "id": asked["id"], "approved": true }]);
    let done = in_session(&body).answered().await.events();
    assert!(last_choice(&done).get("requires_action").is_none());
    assert!(done.iter().any(|event| event.data.contains("Refunded.")));
    assert_eq!(scene.refunds(), 1);
}

#[tokio::test]
async fn named_events_ask_before_the_end_and_tell_what_was_decided() {
    let scene = Scene::set().await;
    let path = "/api/v1/chat/completions/s";
    scene.llm.then(refund()).then(Reply::text("All right."));
    let paused = scene.house.post(path, &streamed(&question())).answered().await.events();
    let names: Vec<_> = paused.iter().filter_map(|event| event.name.as_deref()).collect();
    assert_eq!(names, ["metadata", "progress", "action_request", "done"]);
    let asked = paused.iter().find(|event| event.name.as_deref() == Some("action_request")).unwrap().json();
    assert_eq!((&asked["type"], &asked["action"]), (&json!("action_request"), &json!("approval")));
    assert_eq!(asked["choices"], json!([]), "SDKs pass over it");
    assert_eq!(asked["approval"], last_choice(&paused)["requires_action"]["approvals"][0]);

    let mut body = streamed(&json!([]));
    body["approvals"] = json!([{ "id": asked["approval"]["id"], "approved": false }]);
    let done = scene.house.post(path, &body).answered().await.events();
    let refused = done.iter().find(|event| event.name.as_deref() == Some("tool_call")).unwrap().json();
    assert_eq!((&refused["status"], &refused["tool_id"]), (&json!("refused"), &json!("call_0_0")));
    assert_eq!(scene.refunds(), 0);
}

fn ui(parts: &Value, more: &Value) -> Value {
    let user = json!({ "id": "u1", "role": "user", "parts": [{ "type": "text", "text": "Do it" }] });
    let mut body = json!({ "id": "chat", "messages": [user] });
    if !parts.is_null() {
        body["messages"].as_array_mut().unwrap().push(json!({ "id": "a1", "role": "assistant", "parts": parts }));
    }
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn responded(id: &Value, approved: bool) -> Value {
    json!([{ "type": "step-start" }, {
        "type": "dynamic-tool", "toolName": "refund", "toolCallId": "call_0_0", "providerExecuted": true,
        // What a client makes of the arguments is nothing to the server.
        "state": "approval-responded", "input": { "order": "9" },
        "approval": { "id": id, "approved": approved, "reason": "so" },
    }])
}

fn chunks(answered: &Answered) -> Vec<Value> {
    answered.events().iter().filter(|event| event.data != "[DONE]").map(Event::json).collect()
}

fn kinds(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_ui_stream_asks_inside_the_message_and_goes_on_with_it() {
    for approved in [true, false] {
        let scene = Scene::set().await;
        scene.llm.then(refund()).then(Reply::text("Done."));
        let paused = chunks(&scene.house.post("/api/chat", &ui(&json!(null), &json!({}))).answered().await);
        assert_eq!(
            kinds(&paused),
            ["start", "start-step", "tool-input-available", "tool-approval-request", "finish-step", "finish"]
        );
        let (call, asked) = (&paused[2], &paused[3]);
        assert_eq!((&call["dynamic"], &call["providerExecuted"]), (&json!(true), &json!(true)));
        let id = &asked["approvalId"];
        // Strict versions take these members and no others.
        assert_eq!(asked, &json!({ "type": "tool-approval-request", "approvalId": id, "toolCallId": "call_0_0" }));
        assert_eq!(paused[5]["finishReason"], "stop");

        let body = ui(&responded(id, approved), &json!({ "trigger": "submit-message", "messageId": "a1" }));
        let done = chunks(&scene.house.post("/api/chat", &body).answered().await);
        let outcome = if approved { "tool-output-available" } else { "tool-output-denied" };
        assert_eq!(
            kinds(&done),
            ["start", outcome, "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"]
        );
        assert_eq!((&done[0]["messageId"], &done[1]["toolCallId"]), (&json!("a1"), &json!("call_0_0")));
        if approved {
            assert_eq!(scene.api.last().json(), json!({ "order": "7" }), "the stored arguments");
        } else {
            assert_eq!(done[1], json!({ "type": "tool-output-denied", "toolCallId": "call_0_0" }));
        }
        assert_eq!(scene.refunds(), usize::from(approved));
        // The client sends the same once more: it is decided.
        scene.house.post("/api/chat", &body).answered().await.problem(400, "invalid_body");
        assert_eq!(scene.refunds(), usize::from(approved));
    }
}

#[tokio::test]
async fn a_ui_answer_that_is_told_again_has_the_same_chunks() {
    for approved in [true, false] {
        let scene = Scene::set().await;
        let post =
            |body: &Value, key: &str| scene.house.post("/api/chat", body).header("Idempotency-Key", key).answered();
        scene.llm.then(refund()).then(Reply::text("Done."));
        let question = ui(&json!(null), &json!({}));
        let paused = chunks(&post(&question, "k1").await);
        assert_eq!(chunks(&post(&question, "k1").await), paused);
        let body = ui(&responded(&paused[3]["approvalId"], approved), &json!({}));
        let done = chunks(&post(&body, "k2").await);
        assert_eq!(chunks(&post(&body, "k2").await), done);
        assert_eq!((scene.refunds(), scene.llm.requests().len()), (usize::from(approved), 2));
    }
}

#[tokio::test]
async fn a_ui_answer_in_one_piece_has_the_same_parts() {
    let scene = Scene::set().await;
    scene.llm.then(refund()).then(Reply::text("Done."));
    let whole = json!({ "stream": false });
    let paused = scene.house.post("/api/chat", &ui(&json!(null), &whole)).answered().await.json();
    let part = &paused["message"]["parts"][1];
    assert_eq!((&part["type"], &part["state"]), (&json!("dynamic-tool"), &json!("approval-requested")));
    let done = scene.house.post("/api/chat", &ui(&responded(&part["approval"]["id"], true), &whole)).answered().await;
    let parts = &done.json()["message"]["parts"];
    assert_eq!((&parts[0]["state"], &parts[0]["output"]), (&json!("output-available"), &json!({ "refunded": true })));
    assert_eq!(parts[0]["approval"]["approved"], true);
    assert_eq!(parts[2]["text"], "Done.");
}

#[tokio::test]
async fn what_a_ui_client_says_otherwise_approves_nothing() {
    let scene = Scene::set().await;
    scene.llm.then(refund());
    let paused = chunks(&scene.house.post("/api/chat", &ui(&json!(null), &json!({}))).answered().await);
    let id = &paused[3]["approvalId"];
    let part = |more: Value| {
        let mut part = json!({ "type": "dynamic-tool", "toolName": "refund", "toolCallId": "call_0_0", "input": {} });
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([part])
    };
    let wrong = [
        part(json!({ "state": "approval-requested", "approval": { "id": id, "approved": true } })),
        part(json!({ "state": "approval-responded", "approval": { "id": id, "approved": "true" } })),
        part(json!({ "state": "approval-responded", "approval": { "id": "other:0", "approved": true } })),
        part(json!({ "state": "approval-responded", "approval": true })),
        part(json!({ "state": "approval-responded" })),
        part(json!({ "state": "output-available", "output": "CANARY" })),
        part(json!({ "state": "output-error", "errorText": "CANARY" })),
    ];
    for parts in wrong {
        scene.house.post("/api/chat", &ui(&parts, &json!({}))).answered().await.problem(400, "invalid_body");
    }
    // Behind an answered part comes something new: that is what was said last.
    scene.llm.then(Reply::text("Then not."));
    let mut body = ui(&responded(id, true), &json!({}));
    let user = json!({ "id": "u2", "role": "user", "parts": [{ "type": "text", "text": "No, wait" }] });
    body["messages"].as_array_mut().unwrap().push(user);
    assert_eq!(scene.house.post("/api/chat", &body).answered().await.status, 200);
    assert!(!scene.llm.last().text().contains("CANARY"));
    assert_eq!(scene.refunds(), 0);
}

/// A call of the agent by MCP's newest revision, from a client that declares this.
fn call(scene: &Scene, capabilities: &Value, params: &Value) -> RequestBuilder {
    let mut params = params.clone();
    params["name"] = "assistant".into();
    params["arguments"] = json!({ "input": "Do it" });
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = scene.house.post("/mcp", &body).header("accept", "application/json, text/event-stream");
    let named = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
    named.header("mcp-name", "assistant")
}

fn forms() -> Value {
    json!({ "elicitation": { "form": {} } })
}

#[tokio::test]
async fn an_mcp_client_that_can_ask_its_person_is_given_the_question() {
    for (content, made) in [
        (json!({ "action": "accept", "content": { "approve": true } }), 1),
        (json!({ "action": "accept", "content": { "approve": false, "reason": "no" } }), 0),
        (json!({ "action": "accept" }), 0),
        (json!({ "action": "decline" }), 0),
    ] {
        let scene = Scene::set().await;
        scene.llm.then(refund()).then(Reply::text("Done."));
        let paused = call(&scene, &json!({ "elicitation": {} }), &json!({})).answered().await.json()["result"].clone();
        assert_eq!(paused["resultType"], "input_required", "{paused}");
        let (id, question) = paused["inputRequests"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(question["method"], "elicitation/create");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.contains("refund") && message.contains(r#"{"order":"7"}"#), "{message}");
        assert_eq!(question["params"]["requestedSchema"]["required"], json!(["approve"]));

        let params = json!({ "requestState": paused["requestState"], "inputResponses": { (id): content } });
        let done = call(&scene, &forms(), &params).answered().await.json()["result"].clone();
        assert_eq!(done["content"][0]["text"], "Done.", "{done}");
        assert_eq!((&done["resultType"], &done["isError"]), (&json!("complete"), &json!(false)));
        assert_eq!(scene.refunds(), made, "{content}");
        // The question was asked once: the input is no second message.
        let sent = scene.llm.last().json();
        assert_eq!(sent["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user").count(), 1);
    }
}

#[tokio::test]
async fn an_mcp_client_that_cannot_is_told_so_and_nothing_is_called() {
    let scene = Scene::set().await;
    for capabilities in [json!({}), json!({ "elicitation": { "url": {} } }), json!({ "elicitation": true })] {
        scene.llm.then(refund());
        let answered = call(&scene, &capabilities, &json!({})).answered().await.json()["result"].clone();
        assert_eq!((&answered["resultType"], &answered["isError"]), (&json!("complete"), &json!(true)), "{answered}");
        assert!(answered["content"][0]["text"].as_str().unwrap().contains("approval"), "{answered}");
        assert!(answered["_meta"]["session_id"].is_string(), "{answered}");
    }
    scene.llm.then(refund());
    let params = json!({ "name": "assistant", "arguments": { "input": "Do it" } });
    let old = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let old = scene.house.post("/mcp", &old).header("mcp-protocol-version", "2025-11-25").answered().await.json();
    assert_eq!(old["result"]["isError"], true, "{old}");
    assert_eq!(scene.refunds(), 0);
}

#[tokio::test]
async fn what_an_mcp_client_brings_back_is_not_believed() {
    let scene = Scene::set().await;
    scene.llm.then(refund());
    let paused = call(&scene, &forms(), &json!({})).answered().await.json()["result"].clone();
    let (id, _) = paused["inputRequests"].as_object().unwrap().iter().next().unwrap();
    let yes = json!({ "action": "accept", "content": { "approve": true } });
    let (state, responses) = (&paused["requestState"], json!({ (id): yes }));
    let wrong = [
        json!({ "requestState": "", "inputResponses": responses }),
        json!({ "requestState": 7, "inputResponses": responses }),
        json!({ "requestState": "{\"session\":\"..\"}", "inputResponses": responses }),
        json!({ "requestState": "{\"session\":\"another\"}", "inputResponses": responses }),
        json!({ "requestState": state }),
        json!({ "requestState": state, "inputResponses": {} }),
        json!({ "requestState": state, "inputResponses": [] }),
        json!({ "requestState": state, "inputResponses": { (id): { "action": "yes" } } }),
        json!({ "requestState": state, "inputResponses": { (id): { "action": "accept", "content": { "approve": "true" } } } }),
        json!({ "requestState": state, "inputResponses": { "other:0": yes } }),
    ];
    for params in wrong {
        let refused = call(&scene, &forms(), &params).answered().await;
        assert_eq!(refused.json()["error"]["code"], -32602, "{params}: {}", refused.text);
    }
    let put_off = json!({ "requestState": state, "inputResponses": { (id): { "action": "cancel" } } });
    let answered = call(&scene, &forms(), &put_off).answered().await.json();
    assert_eq!(answered["result"]["isError"], true, "{answered}");
    assert_eq!((scene.refunds(), scene.llm.requests().len()), (0, 1));
    // It still waits.
    scene.llm.then(Reply::text("Done."));
    let params = json!({ "requestState": state, "inputResponses": responses });
    let done = call(&scene, &forms(), &params).header("X-Session-Id", "elsewhere").answered().await.json();
    assert_eq!((&done["result"]["content"][0]["text"], scene.refunds()), (&json!("Done."), 1), "{done}");
}

#[tokio::test]
async fn an_mcp_client_that_hears_of_progress_is_asked_at_its_end() {
    let scene = Scene::set().await;
    scene.llm.then(refund());
    let mut params = json!({ "name": "assistant", "arguments": { "input": "Do it" } });
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": 1,
        "io.modelcontextprotocol/clientCapabilities": forms(),
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = scene.house.post("/mcp", &body).header("accept", "application/json, text/event-stream");
    let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
    let events = request.header("mcp-name", "assistant").answered().await.events();
    assert_eq!(events.last().unwrap().json()["result"]["resultType"], "input_required");
}
