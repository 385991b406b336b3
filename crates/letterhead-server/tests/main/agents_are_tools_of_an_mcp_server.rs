//! CONTRACT 9, `/mcp`: each agent is a tool, calling it is a turn, and both revisions of the protocol go by one route.

use letterhead_testkit::{Answer, Reply};
use serde_json::json;

use crate::support::Send;
use crate::support::mcp::{NEW, OLD, arguments, error, open, result, rpc};

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
