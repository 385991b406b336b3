//! What is known of an MCP server is kept for one caller and one set of headers, and no longer than the server says.

use std::time::Duration;

use letterhead::{Caller, CallerSource, RequestContext, Runner, Sent, TenantId, UserId};
use letterhead_testkit::Answer as HttpAnswer;
use serde_json::{Value, json};

use crate::mcp_server::{Era, Mcp, TOKEN, calling, content, desk, tools};

/// A run for a user, with a token and a request id.
async fn run(runner: &Runner, user: &str, token: &str, request: &str) -> letterhead::RunResult {
    let schema = runner.registry().schema().clone();
    let (token, request) = (Value::from(token), Value::from(request));
    let headers = schema.merge([("token", &token), ("request", &request)], &Sent::nothing(), &[]).unwrap();
    let caller = Caller::new(TenantId::new("t"), Some(UserId::new(user)), CallerSource::Token);
    runner.run("Hello").request(RequestContext::builder(caller, headers).build("a")).await.unwrap()
}

#[tokio::test]
async fn another_caller_or_another_header_opens_it_anew() {
    let mcp = Mcp::start(Era::Session, false).await;
    let script = calling(&[], 6);
    let server = mcp.server().with_header_per_call("X-Request", "{{ headers.request }}");
    let runner = desk(&script, server).build().unwrap();
    for (user, token, request, opened) in [
        ("ada", TOKEN, "r1", 1),
        ("ada", TOKEN, "r2", 1),
        ("bob", TOKEN, "r3", 2),
        ("ada", "another-token", "r4", 3),
        ("ada", TOKEN, "r5", 3),
    ] {
        run(&runner, user, token, request).await;
        assert_eq!(mcp.count("initialize"), opened, "{user} {request}");
    }
    let sessions: Vec<String> =
        mcp.asked("tools/list").iter().map(|request| request.header("mcp-session-id").concat()).collect();
    assert_eq!(sessions, ["s_1", "s_2", "s_3"], "nobody meets another's session");
    assert_eq!(mcp.asked("initialize")[1].header("x-request"), ["r3"], "sent on discovery too");
}

#[tokio::test]
async fn a_shared_server_is_one_for_all_with_the_same_headers() {
    let mcp = Mcp::start(Era::Session, false).await;
    let script = calling(&[], 3);
    let runner = desk(&script, mcp.server().shared()).build().unwrap();
    run(&runner, "ada", TOKEN, "r").await;
    run(&runner, "bob", TOKEN, "r").await;
    assert_eq!(mcp.count("initialize"), 1);
    run(&runner, "bob", "another-token", "r").await;
    assert_eq!(mcp.count("initialize"), 2);
}

#[tokio::test]
async fn a_header_that_differs_per_call_is_rendered_for_each() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = calling(&[("crm_add", json!({}))], 2);
    let server = mcp.server().with_header_per_call("X-Request", "{{ headers.request }}");
    let runner = desk(&script, server).build().unwrap();
    run(&runner, "ada", TOKEN, "r1").await;
    run(&runner, "ada", TOKEN, "r2").await;
    let sent: Vec<String> = mcp.asked("tools/call").iter().map(|call| call.header("x-request").concat()).collect();
    assert_eq!((sent, mcp.count("tools/list")), (vec!["r1".to_owned(), "r2".to_owned()], 1));
}

#[tokio::test]
async fn its_tools_are_asked_for_again_when_the_server_says_so() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = calling(&[("crm_add", json!({}))], 2);
    let runner = desk(&script, mcp.server()).build().unwrap();
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    let (answer, tap) = HttpAnswer::live();
    mcp.then(answer);
    let (result, ()) = tokio::join!(run(&runner, "ada", TOKEN, "r"), async {
        let requests = mcp.api.received(3).await;
        let id = requests[2].json()["id"].clone();
        tap.event(&changed.to_string());
        tap.event(&json!({ "jsonrpc": "2.0", "id": id, "result": content("5") }).to_string());
    });
    assert_eq!(result.output, "done");
    mcp.set_tools(json!([tools()[1]]));
    run(&runner, "ada", TOKEN, "r").await;
    assert_eq!(script.calls().last().unwrap().tools, ["crm_orders_find"]);
    assert_eq!(mcp.count("tools/list"), 2);
}

#[tokio::test]
async fn a_list_holds_as_long_as_the_server_says_and_five_minutes_at_most() {
    for (listed, wait, asked) in [
        (json!({ "ttlMs": 0 }), Duration::ZERO, 2),
        (json!({ "ttlMs": 3_600_000 }), Duration::from_secs(200), 1),
        (json!({ "ttlMs": 3_600_000 }), Duration::from_secs(301), 2),
    ] {
        let mcp = Mcp::start(Era::Standalone, false).await;
        mcp.set_listed(listed);
        let script = calling(&[], 2);
        let runner = desk(&script, mcp.server()).build().unwrap();
        run(&runner, "ada", TOKEN, "r").await;
        tokio::time::pause();
        tokio::time::advance(wait).await;
        tokio::time::resume();
        run(&runner, "ada", TOKEN, "r").await;
        assert_eq!(mcp.count("tools/list"), asked, "{wait:?}");
    }
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let mcp = Mcp::start(Era::Session, false).await;
    let script = calling(&[], 4);
    let runner = desk(&script, mcp.server()).build().unwrap();
    tokio::join!(
        run(&runner, "ada", TOKEN, "r"),
        run(&runner, "ada", TOKEN, "r"),
        run(&runner, "ada", TOKEN, "r"),
        run(&runner, "ada", TOKEN, "r"),
    );
    assert_eq!((mcp.count("initialize"), mcp.count("tools/list")), (1, 1));
}
