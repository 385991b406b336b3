//! Bad bodies, paths and methods: each its own error in the one form, before any model is called.

use letterhead_testkit::{Reply, ScriptedLlm};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answered, House, Send, Wire, parse, request, said};

const YAML: &str = r#"
server: { max_body: 64KiB }
model: demo
agents: { assistant: { instructions: Hi. } }
"#;

const CHATS: [&str; 4] =
    ["/v1/chat/completions", "/api/v1/chat/completions", "/api/v1/chat/completions/s", "/api/chat"];

async fn post(house: &House, path: &str, body: impl Into<Vec<u8>>) -> Answered {
    let request = house.request(Method::POST, path).header("content-type", "application/json");
    request.body(body.into()).answered().await
}

#[tokio::test]
async fn what_is_no_json_object_says_where_it_stops_being_one() {
    let house = House::alone(YAML).await;
    for path in CHATS {
        for (body, told) in [
            (&b""[..], "empty"),
            (b"hello", "line 1"),
            (b"[]", "object"),
            (b"null", "object"),
            (b"\"text\"", "object"),
            (b"{\"messages\": [", "line 1"),
            (b"{\"messages\": []} trailing", "line 1"),
            (b"{\"messages\":\n[,]}", "line 2"),
            (b"{'messages': []}", "line 1"),
            (b"{\"messages\": \"\xff\"}", "line 1"),
            (b"\xef\xbb\xbf{}", "line 1"),
            (b"{\"messages\": [], \"messages\": []}", "twice"),
            (b"{\"messages\": [], \"mess\\u0061ges\": []}", "twice"),
        ] {
            let answered = post(&house, path, body).await;
            let problem = answered.problem(400, "invalid_body");
            let shown = String::from_utf8_lossy(body);
            assert!(problem["detail"].as_str().unwrap().contains(told), "{path} {shown}: {problem}");
            assert!(!answered.text.contains("messages\\u"), "the body is not repeated: {}", answered.text);
        }
    }
    assert!(house.rows(house.get("/api/v1/sessions")).await.is_empty());
}

#[tokio::test]
async fn a_field_that_cannot_be_passed_on_is_not_left_out() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(
        &llm,
        &YAML.replace("model: demo", "providers: { p: { kind: openai, base_url: \"${LLM}\" } }\nmodel: p:m"),
    )
    .await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    for (name, value) in [("temperature", "1e999"), ("response_format", deep.as_str()), ("stop", r#"["\ud800"]"#)] {
        for path in &CHATS[..3] {
            let body = format!(r#"{{"messages": [{{"role": "user", "content": "Hi"}}], "{name}": {value}}}"#);
            let answered = post(&house, path, body).await;
            let problem = answered.problem(400, "invalid_body");
            assert_eq!(problem["errors"][0]["pointer"], format!("/{name}"), "{problem}");
        }
    }
    assert!(llm.requests().is_empty());
}

#[tokio::test]
async fn wrong_members_are_named_by_their_place() {
    let house = House::alone(YAML).await;
    let user = json!([{ "role": "user", "content": "Hi" }]);
    let with = |name: &str, value: Value| {
        let mut body = json!({ "messages": user });
        body[name] = value;
        body
    };
    let messages = |messages: Value| json!({ "messages": messages });
    for (body, place) in [
        (json!({}), "/messages"),
        (messages(json!("Hi")), "/messages"),
        (messages(json!({})), "/messages"),
        (messages(json!([])), "/messages"),
        (messages(json!(["Hi"])), "/messages/0"),
        (messages(json!([{ "content": "Hi" }])), "/messages/0"),
        (messages(json!([{ "role": 1, "content": "Hi" }])), "/messages/0"),
        (messages(json!([{ "role": "wizard", "content": "Hi" }])), "/messages/0/role"),
        (messages(json!([{ "role": "user" }])), "/messages/0/content"),
        (messages(json!([{ "role": "user", "content": null }])), "/messages/0/content"),
        (messages(json!([{ "role": "user", "content": 7 }])), "/messages/0/content"),
        (messages(json!([{ "role": "user", "content": { "a": 1 } }])), "/messages/0/content"),
        (messages(json!([{ "role": "user", "content": [{ "text": "Hi" }] }])), "/messages/0/content"),
        (messages(json!([{ "role": "tool", "content": "Hi" }])), "/messages/0/tool_call_id"),
        (with("model", json!(7)), "/model"),
        (with("stream", json!("yes")), "/stream"),
        (with("conversationId", json!(7)), "/conversationId"),
        (with("tools", json!({})), "/tools"),
        (with("tools", json!([{ "type": "function" }])), "/tools/0"),
        (with("n", json!(2)), "/n"),
        (with("n", json!("one")), "/n"),
        (with("audio", json!({ "voice": "alloy" })), "/audio"),
        (with("modalities", json!(["text", "audio"])), "/modalities"),
    ] {
        let answered = post(&house, "/v1/chat/completions", body.to_string()).await;
        let problem = answered.problem(400, "invalid_body");
        assert_eq!(answered.faults().first().map(|fault| fault.0.as_str()), Some(place), "{body}: {problem}");
        let param = place.trim_start_matches('/').replace('/', ".");
        assert_eq!(problem["error"]["param"], param, "{body}");
    }
    for fine in
        [with("n", json!(1)), with("n", Value::Null), with("audio", Value::Null), with("modalities", json!(["text"]))]
    {
        assert_eq!(post(&house, "/v1/chat/completions", fine.to_string()).await.status, 200, "{fine}");
    }
}

#[tokio::test]
async fn every_faulty_message_is_told() {
    let house = House::alone(YAML).await;
    let body = json!({ "messages": [
        { "role": "wizard", "content": "Hi" }, { "role": "user", "content": "Hi" }, { "role": "user" }, 7,
        { "role": "user", "content": [{ "type": "text", "text": "Hi" }, { "type": "hologram" }] },
    ] });
    let answered = post(&house, "/v1/chat/completions", body.to_string()).await;
    let places: Vec<String> = answered.faults().into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["/messages/0/role", "/messages/2/content", "/messages/3", "/messages/4/content/1"]);
}

#[tokio::test]
async fn content_that_the_model_cannot_take_is_told_before_the_model_is_called() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let yaml = format!(
        "providers: {{ claude: {{ kind: anthropic, base_url: '{}' }} }}\nmodel: claude:opus\nagents: {{ a: {{}} }}",
        llm.url()
    );
    let house = House::open(&llm, &yaml).await;
    let text = json!({ "type": "text", "text": "Hi" });
    let audio = json!({ "type": "input_audio", "input_audio": { "data": "UklG", "format": "wav" } });
    let csv = json!({ "type": "file", "file": { "file_data": "data:text/csv;base64,YQ==", "filename": "a.csv" } });
    // No model could take it; this model cannot.
    for (part, place) in [(json!({ "type": "hologram" }), Some("/messages/0/content/1")), (audio, None), (csv, None)] {
        for path in &CHATS[..3] {
            for stream in [false, true] {
                let body = json!({ "stream": stream, "messages": [{ "role": "user", "content": [text.clone(), part.clone()] }] });
                let answered = post(&house, path, body.to_string()).await;
                answered.problem(400, "unsupported_content");
                let faults = answered.faults();
                assert_eq!(faults.first().map(|fault| fault.0.as_str()), place, "{path} {part}");
            }
        }
    }
    for (media_type, url) in [("audio/wav", "data:audio/wav;base64,UklG"), ("text/csv", "data:text/csv;base64,YQ==")] {
        let parts = json!([text, { "type": "file", "mediaType": media_type, "url": url }]);
        let body = json!({ "id": "s", "messages": [{ "id": "m", "role": "user", "parts": parts }] });
        post(&house, "/api/chat", body.to_string()).await.problem(400, "unsupported_content");
    }
    // Over A2A what no model could take is no task; of what this model cannot, the task says it.
    let asked =
        |part: Value| house.tell(&json!({ "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "Hi" }, part] }));
    let error = asked(json!({ "raw": "AA==", "mediaType": "video/mp4" })).answered().await.rpc_error(-32005);
    let said = error["data"].to_string();
    assert!(said.contains("\"UNSUPPORTED_CONTENT\"") && said.contains("message.parts.1.mediaType"), "{error}");
    let task = asked(json!({ "raw": "UklG", "mediaType": "audio/wav" })).answered().await.task();
    assert_eq!(task["status"]["state"], "TASK_STATE_FAILED");
    assert_eq!(task["status"]["message"]["parts"][0]["text"], "this model cannot take audio");
    assert!(llm.requests().is_empty());
    // It was a turn that failed, and stands in nobody's way: it is no part of the conversation.
    assert_eq!(house.say_in("s", "And now?").answered().await.status, 200);
    let sent = llm.requests()[0].json();
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(1), "{sent}");
    // What it can take goes there.
    let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBO" } });
    let body = json!({ "messages": [{ "role": "user", "content": [text, image] }] });
    assert_eq!(post(&house, CHATS[0], body.to_string()).await.status, 200);
    assert_eq!(llm.requests().len(), 2);
}

#[tokio::test]
async fn so_are_the_ui_protocols() {
    let house = House::alone(YAML).await;
    let text = json!([{ "type": "text", "text": "Hi" }]);
    for (body, place) in [
        (json!({ "id": "c" }), "/messages"),
        (json!({ "id": "c", "messages": [] }), "/messages"),
        (json!({ "id": "c", "messages": "Hi" }), "/messages"),
        (json!({ "id": "c", "messages": [{ "id": "m", "role": "wizard", "parts": text }] }), "/messages/0/role"),
        (json!({ "id": "c", "messages": [{ "id": "m", "role": "user", "parts": [] }] }), "/messages/0/parts"),
        (
            json!({ "id": "c", "messages": [{ "id": "m", "role": "user", "parts": [{ "type": "new-thing" }] }] }),
            "/messages/0/parts",
        ),
        (json!({ "id": "c", "messages": [{ "id": "m", "role": "user" }] }), "/messages/0/content"),
        (json!({ "id": 7, "messages": [{ "role": "user", "parts": text }] }), "/id"),
        (json!({ "stream": 1, "messages": [{ "role": "user", "parts": text }] }), "/stream"),
        (json!({ "messages": [{ "role": "user", "parts": text }], "tools": [7] }), "/tools/0"),
    ] {
        let answered = post(&house, "/api/chat", body.to_string()).await;
        let problem = answered.problem(400, "invalid_body");
        assert_eq!(answered.faults().first().map(|fault| fault.0.as_str()), Some(place), "{body}: {problem}");
    }
    // Parts that nobody knows yet are passed over beside others.
    let body = json!({ "message": { "id": "m", "role": "user", "parts": [{ "type": "new-thing" }, { "type": "text", "text": "Hi" }] } });
    assert_eq!(post(&house, "/api/chat", body.to_string()).await.status, 200);
}

#[tokio::test]
async fn results_of_calls_that_nobody_made_are_refused() {
    let house = House::alone(YAML).await;
    let body = json!({ "messages": [{ "role": "tool", "tool_call_id": "call_1", "content": "7" }] });
    post(&house, "/api/v1/chat/completions/s", body.to_string()).await.problem(400, "invalid_body");
    // And so is a request with nothing new in it.
    assert_eq!(house.say_in("s", "Hi").answered().await.status, 200);
    let body = json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": "…" }] });
    post(&house, "/api/v1/chat/completions/s", body.to_string()).await.problem(400, "invalid_body");
    assert_eq!(house.transcript("s").await.len(), 2);
}

#[tokio::test]
async fn a_tool_that_both_have_is_refused() {
    let yaml = "agents: { a: { handoffs: [b] }, b: { description: B. } }\nentry: a";
    let house = House::alone(yaml).await;
    let tool =
        |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } });
    let with = |tools: Value| json!({ "messages": said("Hi")["messages"], "tools": tools }).to_string();
    let both = post(&house, "/v1/chat/completions", with(json!([tool("mine"), tool("handoff_to_b")]))).await;
    both.problem(400, "invalid_body");
    assert!(both.text.contains("handoff_to_b"), "{}", both.text);
    let twice = post(&house, "/v1/chat/completions", with(json!([tool("mine"), tool("mine")]))).await;
    twice.problem(400, "invalid_body");
    assert_eq!(post(&house, "/v1/chat/completions", with(json!([tool("mine")]))).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413_that_its_client_can_read() {
    let house = House::alone(YAML).await;
    let big = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(5 << 20));
    for path in CHATS {
        // The length is announced, in chunks, and with a question first.
        let answered = post(&house, path, big.clone()).await;
        let problem = answered.problem(413, "body_too_large");
        assert!(problem["detail"].as_str().unwrap().contains("65536"), "{problem}");
        let mut wire = house.wire().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
        );
        wire.send(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).await;
        wire.send(format!("{:x}\r\n{big}\r\n0\r\n\r\n", big.len()).as_bytes()).await;
        parse(&wire.rest().await).problem(413, "body_too_large");
    }
    let mut wire = house.wire().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
    wire.send(format!("{head}content-length: {}\r\n\r\n", big.len()).as_bytes()).await;
    let told = wire.until("body_too_large").await;
    assert!(told.starts_with("HTTP/1.1 413"), "it was not asked to send: {told}");
    // Exactly the limit is not too large.
    let rest = 65_536 - r#"{"messages":[{"role":"user","content":""}]}"#.len();
    let fits = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(rest));
    assert_eq!(post(&house, "/v1/chat/completions", fits.clone()).await.status, 200);
    let fits = fits.replacen('x', "xx", 1);
    post(&house, "/v1/chat/completions", fits).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_breaks_off_starts_nothing() {
    let house = House::alone(YAML).await;
    let whole = request("/api/v1/chat/completions/s", &[], said("Hi").to_string().as_bytes());
    let mut wire: Wire = house.wire().await;
    wire.send(&whole[..whole.len() - 10]).await;
    drop(wire);
    // A chunk that is none.
    let mut wire = house.wire().await;
    let head = "POST /api/v1/chat/completions/s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    wire.send(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n").as_bytes()).await;
    assert_eq!(parse(&wire.rest().await).status, 400);
    house.get("/api/v1/sessions/s").answered().await.problem(404, "session_not_found");
}

#[tokio::test]
async fn nesting_without_end_is_taken_or_refused_and_never_a_crash() {
    let house = House::alone("agents: { assistant: { instructions: Hi. } }").await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    for path in CHATS {
        for nested in [&deep, &objects] {
            for body in [
                nested.clone(),
                format!(r#"{{"messages":{nested}}}"#),
                format!(r#"{{"messages":[{{"role":"user","content":{nested}}}]}}"#),
                format!(r#"{{"messages":[{{"role":"user","parts":{nested}}}]}}"#),
                format!(r#"{{"messages":[{{"role":"user","content":"Hi","x":{nested}}}]}}"#),
                format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"metadata":{nested}}}"#),
                format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"tools":[{nested}]}}"#),
                format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"tool_choice":{nested}}}"#),
            ] {
                let answered = post(&house, path, body.clone()).await;
                assert!(
                    matches!(answered.status, 200 | 400),
                    "{path} {}: {}",
                    &body[..60.min(body.len())],
                    answered.text
                );
            }
        }
    }
    assert_eq!(house.get("/health").answered().await.status, 200);
    // What was taken can be read again.
    let rows = house.get("/api/v1/sessions/s/messages").answered().await;
    assert_eq!(rows.status, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_in_the_same_form() {
    let house = House::alone(YAML).await;
    for path in
        ["/", "/v1", "/v1/completions", "/api/v1/chat/completions/a/b", "/api/v2/sessions", "/v1/chat/completions/"]
    {
        house.get(path).answered().await.problem(404, "not_found");
    }
    let hint = post(&house, "/chat/completions", "{}").await.problem(404, "not_found");
    assert!(hint["detail"].as_str().unwrap().contains("/v1"), "{hint}");
    let slip = post(&house, "/v1/chat/completion", "{}").await.problem(404, "not_found");
    assert_eq!(slip["detail"], "there is nothing at this path; did you mean `/v1/chat/completions`?");
    let odd = house.get("/wp-login.php?CANARY").answered().await.problem(404, "not_found");
    assert!(odd["detail"].as_str().unwrap().contains("`/health`") && !odd.to_string().contains("CANARY"), "{odd}");
    let responses = post(&house, "/v1/responses", "{}").await.problem(404, "not_found");
    assert!(responses["detail"].as_str().unwrap().contains("/v1/chat/completions"), "{responses}");
    for (method, path, allowed) in [
        (Method::GET, "/v1/chat/completions", "POST"),
        (Method::DELETE, "/v1/models", "GET,HEAD"),
        (Method::PUT, "/api/v1/sessions/s", "GET,HEAD,DELETE"),
        (Method::PATCH, "/api/chat", "POST"),
    ] {
        let answered = house.request(method.clone(), path).answered().await;
        let problem = answered.problem(405, "method_not_allowed");
        assert_eq!(answered.header("allow"), Some(allowed), "{method} {path}");
        let names = format!("{method} is not allowed here: it takes {}", allowed.replace(',', ", "));
        assert_eq!(problem["detail"], names);
        assert_eq!(problem["request_id"].as_str(), answered.header("x-request-id"));
    }
    assert_eq!(house.get("/api/chat/any/stream").answered().await.status, 204);
}

#[tokio::test]
async fn a_body_made_to_be_slow_or_to_have_a_long_answer_is_neither() {
    let house = House::alone("agents: { assistant: { instructions: Hi. } }").await;
    let list = |item: &str, count: usize| vec![item; count].join(",");
    let members: String = (0..300_000).map(|at| format!("\"{at}\":1,")).collect();
    let tools: String =
        (0..30_000).map(|at| format!(r#"{{"type":"function","function":{{"name":"t{at}"}}}},"#)).collect();
    let long = "x".repeat(1 << 20);
    for path in CHATS {
        for body in [
            format!("{{{members}\"messages\":[]}}"),
            format!(r#"{{"messages":[{}]}}"#, list("1", 500_000)),
            format!(r#"{{"messages":[{{"role":"user","content":[{}]}}]}}"#, list(r#"{"type":"x"}"#, 100_000)),
            format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"tools":[{}]}}"#, list("1", 500_000)),
            format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"model":"{long}"}}"#),
            format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"conversationId":"{long}"}}"#),
            format!(
                r#"{{"messages":[{{"role":"tool","content":"Hi","tool_call_id":"{long}"}}],"conversationId":"new"}}"#
            ),
            format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"tools":[{tools}1]}}"#),
        ] {
            let answered = post(&house, path, body.clone()).await;
            let start = &body[..60];
            assert!((400..500).contains(&answered.status), "{path} {start}: {}", answered.status);
            assert!(answered.text.len() < 40_000, "{path} {start}: {} bytes", answered.text.len());
        }
    }
}

#[tokio::test]
async fn whoever_is_refused_before_the_body_is_read_can_read_why() {
    let house = House::alone("auth: { anonymous: deny }\nagents: { a: {} }").await;
    let big = "x".repeat(5 << 20);
    for (name, value, status) in
        [("origin", "https://evil.example", 403), ("host", "evil.example", 403), ("x-nothing", "", 401)]
    {
        let request = house.request(Method::POST, "/v1/chat/completions").header("content-type", "application/json");
        assert_eq!(request.header(name, value).body(big.clone()).answered().await.status, status, "{name}");
    }
    let text = house.request(Method::POST, "/v1/chat/completions").header("content-type", "text/plain");
    text.body(big).answered().await.problem(415, "unsupported_media_type");
}
