//! CONTRACT 9, `/mcp`: what is no message of the protocol, or not all of one, is told so in its own way.

use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::mcp::{CAPABILITIES, NEW, OLD, VERSION, YAML, arguments, error, open, result, rpc};
use crate::support::{House, Send};

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
