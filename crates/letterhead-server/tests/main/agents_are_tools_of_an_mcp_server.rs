//! CONTRACT 9, `/mcp`: each agent is a tool, calling it is a turn, and both revisions of the protocol go by one route.

use std::time::Duration;

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answered, House, PATIENCE, Send, app, memory, request};

const YAML: &str = r#"
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

const NEW: &str = "2026-07-28";
const OLD: &str = "2025-11-25";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

async fn open() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

/// What a turn is called with in the tests that are about something else.
fn arguments() -> Value {
    json!({ "input": "Hi" })
}

impl House {
    fn mcp(&self, body: &Value) -> RequestBuilder {
        self.post("/mcp", body).header("accept", "application/json, text/event-stream")
    }

    /// A request of the newest revision, with all that it has to say about itself.
    fn new_mcp(&self, method: &str, mut params: Value) -> RequestBuilder {
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
    fn old_mcp(&self, method: &str, params: &Value) -> RequestBuilder {
        self.mcp(&rpc(method, params)).header("mcp-protocol-version", OLD)
    }

    /// A call of a tool in one of the two manners.
    fn call_tool(&self, revision: &str, name: &str, arguments: &Value) -> RequestBuilder {
        let params = json!({ "name": name, "arguments": arguments });
        let request =
            if revision == NEW { self.new_mcp("tools/call", params) } else { self.old_mcp("tools/call", &params) };
        request.header("user_name", "Ada")
    }
}

fn rpc(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// The result of an answer that is one.
#[track_caller]
fn result(answered: &Answered) -> Value {
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.header("content-type"), Some("application/json"), "{}", answered.text);
    let body = answered.json();
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(7)), "{body}");
    body.get("result").unwrap_or_else(|| panic!("{body}")).clone()
}

/// The error of an answer that is one.
#[track_caller]
fn error(answered: &Answered, status: u16, code: i64) -> Value {
    assert_eq!(answered.status, status, "{}", answered.text);
    assert_eq!(answered.header("content-type"), Some("application/json"), "{}", answered.text);
    let body = answered.json();
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(body.get("result").is_none(), "{body}");
    body["error"].clone()
}

#[tokio::test]
async fn the_older_revisions_open_with_a_handshake_and_get_no_session() {
    let (_llm, house) = open().await;
    for (asked, negotiated) in
        [(OLD, OLD), ("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-03-26"), ("2024-11-05", OLD), (NEW, OLD)]
    {
        let client =
            json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answered = house.mcp(&rpc("initialize", &client)).answered().await;
        let opened = result(&answered);
        assert_eq!(opened["protocolVersion"], negotiated);
        assert_eq!(opened["serverInfo"]["name"], "letterhead");
        assert_eq!(opened["capabilities"], json!({ "tools": {} }), "nothing is promised that is not there");
        assert_eq!(answered.header("mcp-session-id"), None);
    }
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let answered = house.mcp(&ready).header("mcp-protocol-version", OLD).answered().await;
    assert_eq!((answered.status, answered.text.as_str()), (202, ""));
    assert_eq!(result(&house.old_mcp("ping", &json!({})).answered().await), json!({}));
    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let answered = house.request(method, "/mcp").header("accept", "text/event-stream").answered().await;
        answered.problem(405, "method_not_allowed");
        assert_eq!(answered.header("allow"), Some("POST"));
    }
}

#[tokio::test]
async fn the_newest_revision_asks_who_is_there() {
    let (_llm, house) = open().await;
    let there = result(&house.new_mcp("server/discover", json!({})).answered().await);
    assert_eq!(there["supportedVersions"], json!(["2025-06-18", OLD, NEW]));
    assert_eq!(there["capabilities"], json!({ "tools": {} }));
    assert_eq!(there["resultType"], "complete");
    assert_eq!((&there["ttlMs"], &there["cacheScope"]), (&json!(0), &json!("private")));
    assert_eq!(there["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "letterhead");
}

#[tokio::test]
async fn every_agent_is_a_tool_and_looking_needs_no_context() {
    let (_llm, house) = open().await;
    let old = result(&house.old_mcp("tools/list", &json!({})).answered().await);
    let new = result(&house.new_mcp("tools/list", json!({})).answered().await);
    assert_eq!(old["tools"], new["tools"]);
    assert_eq!((&new["resultType"], &new["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(old.get("resultType").is_none());
    let tools = new["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["assistant", "researcher", "billing"]);
    assert_eq!(tools[0]["description"], "Answers questions.");
    assert_eq!(tools[2]["description"], "Asks the agent billing.");
    let schema = &tools[0]["inputSchema"];
    assert_eq!((&schema["type"], &schema["required"]), (&json!("object"), &json!(["input"])));
    let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(properties, ["input", "session_id"]);
    error(&house.old_mcp("tools/list", &json!({ "cursor": "2" })).answered().await, 200, -32602);
}

#[tokio::test]
async fn calling_a_tool_is_a_turn_with_the_headers_that_came() {
    let (llm, house) = open().await;
    for revision in [OLD, NEW] {
        llm.then(Reply::text("Good morning.")).then(Reply::text("Nice."));
        let first = house.call_tool(revision, "assistant", &json!({ "input": "Hello!" })).answered().await;
        let said = result(&first);
        assert_eq!(said["content"], json!([{ "type": "text", "text": "Good morning." }]));
        assert_eq!(said["isError"], false);
        assert_eq!(said.get("resultType"), (revision == NEW).then(|| json!("complete")).as_ref());
        assert_eq!(llm.last().json()["messages"][0]["content"], "Serve Ada.");
        // The session goes on, by the argument or by the header; the headers are remembered in it.
        let session = said["_meta"]["session_id"].as_str().unwrap();
        assert_eq!(first.header("x-session-id"), Some(session));
        let again = json!({ "name": "assistant", "arguments": { "input": "And you?", "session_id": session } });
        let again = result(&house.old_mcp("tools/call", &again).answered().await);
        assert_eq!(again["_meta"]["session_id"], session);
        let conversation = llm.last().json()["messages"].clone();
        let said: Vec<&str> =
            conversation.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(said, ["Serve Ada.", "Hello!", "Good morning.", "And you?"]);
    }
}

#[tokio::test]
async fn a_header_names_the_session_before_an_argument_does_and_the_protocols_own_never() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Good."));
    let named = json!({ "input": "Hi", "session_id": "from-argument" });
    let both = house.call_tool(OLD, "assistant", &named).header("x-session-id", "from-header");
    assert_eq!(result(&both.answered().await)["_meta"]["session_id"], "from-header");
    let argument = house.call_tool(OLD, "assistant", &named).header("mcp-session-id", "of-the-protocol");
    assert_eq!(result(&argument.answered().await)["_meta"]["session_id"], "from-argument");
    let none = json!({ "input": "Hi", "session_id": "" });
    let made = house.call_tool(OLD, "assistant", &none).header("mcp-session-id", "of-the-protocol");
    let made = result(&made.answered().await)["_meta"]["session_id"].as_str().unwrap().to_owned();
    assert!(uuid_like(&made), "{made}");
}

fn uuid_like(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

#[tokio::test]
async fn the_tool_is_the_agent_whatever_else_is_named_and_the_client_is_nobody() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Good."));
    let params = json!({
        "name": "billing", "arguments": arguments(), "clientInfo": { "name": "u_admin", "version": "1" },
        "_meta": { "io.modelcontextprotocol/clientInfo": { "name": "u_admin", "version": "1" } },
    });
    let request = house.new_mcp("tools/call", params).header("user_name", "Ada").header("x-agent-schema", "assistant");
    let said = result(&request.header("x-session-id", "s").header("x-user-id", "u_1").answered().await);
    assert_eq!(said["_meta"]["agent"], "billing");
    assert_eq!(llm.last().json()["messages"][0]["content"], "Bill.");
    // The session is the caller's, who is known by headers alone.
    assert_eq!(house.get("/api/v1/sessions/s").header("x-user-id", "u_1").answered().await.status, 200);
    for other in ["u_admin", "u_2"] {
        house.get("/api/v1/sessions/s").header("x-user-id", other).answered().await.problem(404, "session_not_found");
    }
}

#[tokio::test]
async fn faults_of_what_came_are_invalid_params_with_the_whole_problem() {
    let (llm, house) = open().await;
    for revision in [OLD, NEW] {
        let params = json!({ "name": "assistant", "arguments": arguments() });
        let request =
            if revision == NEW { house.new_mcp("tools/call", params) } else { house.old_mcp("tools/call", &params) };
        let answered = request.header("seats", "many").answered().await;
        let fault = error(&answered, 200, -32602);
        let problem = &fault["data"];
        assert_eq!((&problem["status"], &problem["error"]["code"]), (&json!(400), &json!("invalid_header")));
        let named: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|fault| fault["header"].as_str().unwrap()).collect();
        assert_eq!(named, ["seats", "user_name"]);
        assert_eq!(problem["request_id"].as_str(), answered.header("x-request-id"));
        assert_eq!(fault["message"], problem["detail"]);
    }
    let list = house.call_tool(OLD, "assistant", &json!([])).answered().await;
    assert_eq!(error(&list, 200, -32602)["data"]["errors"][0]["pointer"], "/params/arguments");
    let unknown = house.call_tool(OLD, "nobody", &arguments()).answered().await;
    assert!(error(&unknown, 200, -32602)["message"].as_str().unwrap().contains("`billing`"));
    let large = "x".repeat(5000);
    let large = house.call_tool(OLD, "assistant", &arguments()).header("seats", large).answered().await;
    assert_eq!(error(&large, 200, -32602)["data"]["status"], 431);
    let evil = house.old_mcp("tools/list", &json!({})).header("x-is-eval", "perhaps").answered().await;
    assert_eq!(error(&evil, 200, -32602)["data"]["errors"][0]["header"], "X-Is-Eval");
    assert!(llm.requests().is_empty());
}

/// The protocol wants it so: a model is shown results, and can do better the next time.
#[tokio::test]
async fn arguments_that_a_model_got_wrong_are_a_result_that_says_what_is_wanted() {
    let (llm, house) = open().await;
    for (arguments, place) in [
        (json!({}), "/params/arguments/input"),
        (json!({ "input": 5 }), "/params/arguments/input"),
        (json!({ "input": "Hi", "session_id": 5 }), "/params/arguments/session_id"),
    ] {
        let wrong = result(&house.call_tool(NEW, "assistant", &arguments).answered().await);
        assert_eq!((&wrong["isError"], &wrong["resultType"]), (&json!(true), &json!("complete")));
        assert_eq!(wrong["_meta"]["problem"]["errors"][0]["pointer"], place);
        assert!(wrong["content"][0]["text"].as_str().unwrap().contains("a string"), "{wrong}");
    }
    let bad = json!({ "input": "Hi", "session_id": "a/b" });
    let bad = result(&house.call_tool(OLD, "assistant", &bad).answered().await);
    assert_eq!(bad["_meta"]["problem"]["error"]["code"], "invalid_session_id");
    assert!(llm.requests().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_no_method() {
    let (_llm, house) = open().await;
    let absent = ["prompts/list", "resources/list", "resources/read", "completion/complete", "tasks/list", "nonsense"];
    for method in absent.into_iter().chain(["logging/setLevel", "resources/subscribe"]) {
        error(&house.old_mcp(method, &json!({})).answered().await, 200, -32601);
        error(&house.new_mcp(method, json!({})).answered().await, 404, -32601);
    }
    // What the newest revision has removed is gone in it.
    for method in ["initialize", "ping"] {
        error(&house.new_mcp(method, json!({})).answered().await, 404, -32601);
    }
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let (_llm, house) = open().await;
    let raw = async |body: &str| house.raw("/mcp", &[("accept", b"*/*")], body.as_bytes()).await;
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        ("5", -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":5}}"#, -32602),
    ] {
        let answered = raw(body).await;
        error(&answered, 400, code);
        assert!(!answered.json().as_object().unwrap().get("id").is_some_and(Value::is_null), "{body}");
    }
    for id in [r#""a\u0000b""#, "0", "-9007199254740993", "18446744073709551615"] {
        let answered = raw(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).await;
        assert_eq!(answered.text, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
    // An answer to nothing that was asked.
    assert_eq!(raw(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await.status, 202);
}

#[tokio::test]
async fn headers_and_body_must_say_the_same() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Good."));
    let params =
        || json!({ "name": "assistant", "arguments": arguments(), "_meta": { (VERSION): NEW, (CAPABILITIES): {} } });
    let send = |params: &Value, headers: &[(&'static str, &str)]| {
        let request = house.mcp(&rpc("tools/call", params)).header("user_name", "Ada");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).answered()
    };
    let (version, method, name) =
        (("mcp-protocol-version", NEW), ("mcp-method", "tools/call"), ("mcp-name", "assistant"));
    result(&send(&params(), &[version, method, name]).await);
    result(&send(&params(), &[version, method, ("mcp-name", "=?base64?YXNzaXN0YW50?=")]).await);
    for headers in [
        vec![method, name],
        vec![version, name],
        vec![version, method],
        vec![version, version, method, name],
        vec![version, method, method, name],
        vec![version, method, name, name],
        vec![("mcp-protocol-version", OLD), method, name],
        vec![version, ("mcp-method", "tools/list"), name],
        vec![version, ("mcp-method", "Tools/Call"), name],
        vec![version, method, ("mcp-name", "billing")],
        vec![version, method, ("mcp-name", "=?base64?YXNzaXN0YW5?=")],
        vec![version, method, ("mcp-name", "=?base64?YmlsbGluZw==?=")],
    ] {
        error(&send(&params(), &headers).await, 400, -32020);
    }
    let mut bare = params();
    for member in [CAPABILITIES, VERSION] {
        bare["_meta"].as_object_mut().unwrap().remove(member);
        error(&send(&bare, &[version, method, name]).await, 400, -32602);
    }
    let mut future = params();
    future["_meta"][VERSION] = "2099-01-01".into();
    let unknown = error(&send(&future, &[("mcp-protocol-version", "2099-01-01"), method, name]).await, 400, -32022);
    assert_eq!(unknown["data"], json!({ "supported": ["2025-06-18", OLD, NEW], "requested": "2099-01-01" }));
    let unknown = house.mcp(&rpc("ping", &json!({}))).header("mcp-protocol-version", "1999-01-01");
    error(&unknown.answered().await, 400, -32022);
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let request = |method| house.mcp(&notification).header("mcp-protocol-version", NEW).header("mcp-method", method);
    assert_eq!(request("notifications/cancelled").answered().await.status, 202);
    error(&request("notifications/progress").answered().await, 400, -32020);
    assert_eq!(llm.requests().len(), 2);
}

#[tokio::test]
async fn a_turn_that_fails_is_a_result_that_says_so() {
    let (llm, house) = open().await;
    llm.then(Answer::error(500, &json!({ "error": { "message": "secret words of the upstream" } })));
    let answered = house.call_tool(NEW, "assistant", &arguments()).answered().await;
    let failed = result(&answered);
    assert_eq!((&failed["isError"], &failed["resultType"]), (&json!(true), &json!("complete")));
    assert_eq!(failed["_meta"]["problem"]["error"]["code"], "upstream_failed");
    assert_eq!(failed["content"][0]["text"], failed["_meta"]["problem"]["detail"]);
    assert_eq!(answered.header("x-session-id"), failed["_meta"]["session_id"].as_str());
    assert!(!answered.text.contains("secret words"), "{}", answered.text);
}

#[tokio::test]
async fn a_call_that_is_sent_again_with_its_key_is_told_the_same() {
    let (llm, house) = open().await;
    llm.then(Reply::text("Once.")).then(Reply::text("Twice."));
    let call = |input: &str| {
        let request = house.call_tool(NEW, "assistant", &json!({ "input": input }));
        request.header("x-session-id", "s").header("idempotency-key", "k-1").answered()
    };
    let first = result(&call("Hi").await);
    assert_eq!(result(&call("Hi").await), first);
    assert_eq!(error(&call("Bye").await, 200, -32000)["data"]["error"]["code"], "idempotency_mismatch");
    assert_eq!(llm.requests().len(), 1);
    assert_eq!(house.transcript("s").await, ["user: Hi", "assistant: Once."]);
}

#[tokio::test]
async fn who_is_refused_gets_the_status_that_says_why() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let limited = format!("server: {{ max_body: 1KiB }}\nlimits: {{ requests_per_minute: {{ user: 1 }} }}{YAML}");
    let house = House::open(&llm, &limited).await;
    result(&house.call_tool(OLD, "assistant", &arguments()).answered().await);
    let answered = house.call_tool(OLD, "assistant", &arguments()).answered().await;
    let refused = error(&answered, 429, -32000);
    assert_eq!(refused["data"]["error"]["code"], "rate_limited");
    assert!(answered.header("retry-after").is_some() && answered.header("ratelimit").is_some());
    // Looking is free.
    result(&house.old_mcp("tools/list", &json!({})).answered().await);
    let large = json!({ "input": "x".repeat(2000) });
    house.call_tool(OLD, "assistant", &large).answered().await.problem(413, "body_too_large");
    let origin = house.old_mcp("tools/list", &json!({})).header("origin", "https://evil.example");
    origin.answered().await.problem(403, "origin_not_allowed");
    let host = house.old_mcp("tools/list", &json!({})).header("host", "evil.example");
    host.answered().await.problem(403, "unknown_host");
    let text = house.request(reqwest::Method::POST, "/mcp").header("content-type", "text/plain").body("{}");
    text.answered().await.problem(415, "unsupported_media_type");
    let own = house.old_mcp("tools/list", &json!({})).header("origin", house.url(""));
    result(&own.answered().await);
    let closed = format!("auth: {{ anonymous: deny }}{YAML}");
    let house = House::open(&llm, &closed).await;
    for request in [house.old_mcp("tools/list", &json!({})), house.call_tool(NEW, "assistant", &arguments())] {
        let answered = request.answered().await;
        answered.problem(401, "unauthenticated");
        assert!(answered.header("www-authenticate").is_some());
    }
}

#[tokio::test]
async fn who_asks_for_progress_hears_of_it_and_gets_the_result_last() {
    let (llm, house) = open().await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "researcher", "input": "?" })))
        .then(Reply::text("It is so."))
        .then(Reply::text("They say it is so."));
    let params = json!({
        "name": "assistant", "arguments": { "input": "Is it?", "session_id": "s" }, "_meta": { "progressToken": "t-1" },
    });
    let answered = house.new_mcp("tools/call", params).header("user_name", "Ada").answered().await;
    assert_eq!(answered.header("x-session-id"), Some("s"));
    let events = answered.events();
    let (last, progress) = events.split_last().unwrap();
    let last = last.json();
    assert_eq!(last["id"], 7);
    assert_eq!(last["result"]["content"][0]["text"], "They say it is so.");
    assert_eq!(last["result"]["_meta"], json!({ "session_id": "s", "agent": "assistant" }));
    let mut child = String::new();
    for (at, event) in progress.iter().enumerate() {
        let notification = event.json();
        assert_eq!((&event.name, &notification["method"]), (&None, &json!("notifications/progress")));
        assert!(notification.get("id").is_none());
        assert_eq!(notification["params"]["progressToken"], "t-1");
        assert_eq!(notification["params"]["progress"], at + 1, "it grows");
        if let Some(text) = notification["params"]["message"].as_str().unwrap().strip_prefix("researcher: ") {
            child.push_str(text);
        }
    }
    assert_eq!(child, "It is so.", "a child's text is told whole");
    let messages: Vec<String> =
        progress.iter().map(|event| event.json()["params"]["message"].as_str().unwrap().to_owned()).collect();
    assert!(messages.contains(&"assistant is thinking".to_owned()), "{messages:?}");
    assert!(messages.contains(&"calling ask_agent".to_owned()), "{messages:?}");
}

#[tokio::test]
async fn progress_is_not_sent_to_who_cannot_take_it() {
    let (llm, house) = open().await;
    llm.then(Reply::text("Good."));
    let params = json!({ "name": "assistant", "arguments": arguments(), "_meta": { "progressToken": 3 } });
    let request = house.post("/mcp", &rpc("tools/call", &params)).header("accept", "application/json");
    let said = result(&request.header("user_name", "Ada").answered().await);
    assert_eq!(said["content"][0]["text"], "Good.");
}

#[tokio::test]
async fn a_long_turn_keeps_its_connection_and_renews_patience() {
    let llm = ScriptedLlm::start().await;
    let mut app = app(&llm.openai_url(), YAML, memory);
    app.timing.keep_alive = Duration::from_millis(20);
    let house = House::serve(app, PATIENCE).await;
    let headers: [(&str, &[u8]); 2] = [("user_name", b"Ada"), ("accept", b"application/json, text/event-stream")];
    for (meta, sign) in [(json!({}), ": keep-alive"), (json!({ "progressToken": 1 }), "still working")] {
        let (answer, gate) = Answer::json(
            &json!({ "choices": [{ "message": { "role": "assistant", "content": "Late." }, "finish_reason": "stop" }] }),
        )
        .held();
        let (streamed, tap) = Answer::live();
        let quiet = meta.get("progressToken").is_none();
        llm.then(if quiet { answer } else { streamed });
        let call = rpc("tools/call", &json!({ "name": "assistant", "arguments": arguments(), "_meta": meta }));
        let mut wire = house.wire().await;
        wire.send(&request("/mcp", &headers, call.to_string().as_bytes())).await;
        let head = wire.until(sign).await;
        assert!(head.contains("content-type: text/event-stream") && head.contains("x-session-id: "), "{head}");
        if quiet {
            gate.open();
        } else {
            tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Late."},"finish_reason":"stop"}]}"#);
            tap.event("[DONE]");
            tap.end();
        }
        let rest = wire.until(r#""text":"Late.""#).await;
        assert!(rest.contains(r#"data: {"jsonrpc":"2.0","id":7,"result":"#), "{rest}");
    }
}

#[tokio::test]
async fn closing_the_stream_cancels_at_once_and_what_was_said_is_kept() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &format!("sessions: {{ disconnect_grace: 60s }}{YAML}")).await;
    let headers: [(&str, &[u8]); 2] = [("user_name", b"Ada"), ("accept", b"application/json, text/event-stream")];
    let call = |session: &str, meta: &Value| {
        let arguments = json!({ "input": "Tell me.", "session_id": session });
        let body = rpc("tools/call", &json!({ "name": "assistant", "arguments": arguments, "_meta": meta }));
        request("/mcp", &headers, body.to_string().as_bytes())
    };
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut wire = house.wire().await;
    wire.send(&call("told", &json!({ "progressToken": 1 }))).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#);
    wire.until("writing").await;
    drop(wire);
    tap.left().await;
    llm.then(Answer::hang());
    let mut wire = house.wire().await;
    wire.send(&call("quiet", &json!({}))).await;
    llm.received(2).await;
    drop(wire);
    llm.left(2).await;
    // A turn that waits for these begins when they have been stored.
    for (session, kept) in [("told", vec!["user: Tell me.", "assistant: Once upon"]), ("quiet", vec!["user: Tell me."])]
    {
        drop(house.app.store.begin(&crate::support::key(None, None, session), Duration::from_secs(10)).await.unwrap());
        assert_eq!(house.transcript(session).await, kept);
    }
}
