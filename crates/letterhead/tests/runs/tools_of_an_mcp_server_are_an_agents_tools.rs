//! An agent that names an MCP server has its tools, whichever revision it speaks and in whichever form it answers.

use letterhead::McpServer;
use letterhead_testkit::Answer as HttpAnswer;
use serde_json::{Value, json};

use crate::mcp_server::{Era, Mcp, TOKEN, calling, desk, told, tools};
use crate::script::Answer;
use crate::support::said;

#[tokio::test]
async fn they_are_offered_and_called_in_both_revisions_and_both_forms() {
    for era in [Era::Standalone, Era::Session, Era::Stateless] {
        for sse in [false, true] {
            let mcp = Mcp::start(era, sse).await;
            let script = calling(&[("crm_add", json!({ "a": 1, "b": 2 })), ("crm_orders_find", Value::Null)], 1);
            let runner = desk(&script, mcp.server()).build().unwrap();
            let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
            assert_eq!(script.calls()[0].tools, ["crm_add", "crm_orders_find"], "{era:?}");
            assert_eq!(script.calls()[0].descriptions, ["Adds two numbers.", "Finds orders."]);
            let said = said(&result.messages);
            assert_eq!((&*said[2], &*said[4], &*result.output), ("tool: 3", "tool: 0", "done"), "{era:?} {sse}");
            assert_eq!(mcp.asked("tools/call")[1].json()["params"]["name"], "orders.find", "its own name for it");
            assert_eq!(mcp.count("tools/list"), 1, "asked once a turn");
            for request in mcp.api.requests() {
                assert_eq!(request.header("authorization"), [format!("Bearer {TOKEN}")], "{}", request.text());
            }
            assert!(!format!("{result:?}").contains(TOKEN));
        }
    }
}

#[tokio::test]
async fn a_server_of_an_older_revision_is_opened_by_its_handshake_and_known_from_then_on() {
    let mcp = Mcp::start(Era::Session, false).await;
    let script = calling(&[], 2);
    let runner = desk(&script, mcp.server()).build().unwrap();
    runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(mcp.methods(), ["server/discover", "initialize", "notifications/initialized", "tools/list"]);
    runner.run("Hello").context_header("token", "another-token").await.unwrap();
    assert_eq!(mcp.methods()[4..], ["initialize", "notifications/initialized", "tools/list"], "no second discovery");
}

#[tokio::test]
async fn a_forgotten_session_is_opened_anew_once() {
    let mcp = Mcp::start(Era::Session, false).await;
    let script = calling(&[("crm_add", json!({ "a": 1, "b": 2 }))], 2);
    let runner = desk(&script, mcp.server()).build().unwrap();
    runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    mcp.forget_session();
    let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(said(&result.messages)[2], "tool: 3");
    assert_eq!((mcp.count("initialize"), mcp.count("tools/call")), (2, 3), "one call was not taken");

    mcp.then(HttpAnswer::status(404));
    mcp.then(HttpAnswer::status(404));
    let told = told(&mcp, mcp.server(), "crm_add", json!({})).await;
    assert_eq!(told, "The call failed: it answered with status 404.", "not for ever");
}

#[tokio::test]
async fn an_agent_has_the_tools_that_are_listed_under_the_names_that_they_are_given() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = calling(&[("crm_find", json!({})), ("crm_add", json!({}))], 1);
    let server = mcp.server().with_tool_as("orders.find", "find").with_tool("gone");
    let result = desk(&script, server).build().unwrap().run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(script.calls()[0].tools, ["crm_find"]);
    let said = said(&result.messages);
    assert_eq!(mcp.count("tools/call"), 1);
    assert!(said[4].starts_with("tool: There is no tool of this name. There are: crm_find"), "{}", said[4]);
    let reasons: Vec<_> = result.trail.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    assert!(reasons.contains(&"it has no tool `gone`"), "{reasons:?}");
}

#[tokio::test]
async fn names_that_models_do_not_take_are_changed_or_left_out_and_the_trail_says_so() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let long = "x".repeat(61);
    let tool = |name: &str, schema: Value| json!({ "name": name, "inputSchema": schema });
    mcp.set_tools(json!([
        tool("a/b.c", json!({ "type": "object" })),
        tool(&long, json!({ "type": "object" })),
        tool("drop table", json!({ "type": "object" })),
        tool("list", json!({ "type": "array" })),
        { "name": "bare" },
        7,
    ]));
    let script = calling(&[], 1);
    let result =
        desk(&script, mcp.server()).build().unwrap().run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(script.calls()[0].tools, ["crm_a_b_c"]);
    let reasons: Vec<_> = result.trail.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    for part in
        ["`a/b.c` is called `crm_a_b_c`", "64 characters", "`drop table` was left out", "`list`", "`bare`", "no object"]
    {
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{part}: {reasons:#?}");
    }
}

#[tokio::test]
async fn a_tool_that_only_reads_has_no_effects() {
    for (tool, effects) in [("crm_add", false), ("crm_orders_find", true)] {
        let mcp = Mcp::start(Era::Standalone, false).await;
        let script = crate::script::Script::default().on(
            "a",
            [
                Answer::calls([(tool, json!({}))]),
                Answer::default().fail(letterhead::model::ModelErrorKind::Unavailable { retry_after: None }),
            ],
        );
        let runner = desk(&script, mcp.server()).build().unwrap();
        let error = runner.run("Hello").context_header("token", TOKEN).await.unwrap_err();
        let text = format!("{error:?}");
        assert_eq!(text.contains("should_retry: Some(false)"), effects, "{text}");
    }
}

#[tokio::test]
async fn a_long_list_comes_page_by_page() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    // No tools, as those of the first page would come again.
    mcp.set_tools(json!([]));
    mcp.set_listed(json!({ "nextCursor": "again" }));
    let script = calling(&[], 1);
    let error = desk(&script, mcp.server()).build().unwrap().run("Hello").context_header("token", TOKEN).await;
    assert!(format!("{:?}", error.unwrap_err()).contains("its list of tools has no end"));
    assert_eq!(mcp.asked("tools/list")[1].json()["params"]["cursor"], "again");
    assert_eq!(mcp.count("tools/list"), 32);
}

/// As many tools as that, each with a description of the schema's one field.
fn many(count: usize, description: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "description": description } } });
    (0..count).map(|at| json!({ "name": format!("t{at}"), "inputSchema": schema })).collect()
}

#[tokio::test]
async fn more_tools_than_a_model_can_be_told_of_refuse_the_server_until_they_are_listed() {
    let long = "x".repeat(300_000);
    let count = "it has more than 128 tools for agents";
    let size = "what its tools say of themselves is more than 512 KiB together";
    for (tools, most, what) in
        [(many(129, "Short."), many(128, "Short."), count), (many(2, &long), many(1, &long), size)]
    {
        let mcp = Mcp::start(Era::Standalone, false).await;
        let run = |server: McpServer| async {
            let script = calling(&[], 1);
            let runner = desk(&script, server).build().unwrap();
            let outcome = runner.run("Hello").context_header("token", TOKEN).await;
            (outcome, script.calls())
        };
        let count = most.as_array().unwrap().len();
        mcp.set_tools(most);
        let (outcome, calls) = run(mcp.server()).await;
        assert!(outcome.is_ok());
        assert_eq!(calls[0].tools.len(), count);

        mcp.set_tools(tools);
        let why = format!(
            "{what}, and all of it is sent with every call of a model: list only what agents need in `mcp_servers.crm.tools`"
        );
        let (outcome, calls) = run(mcp.server()).await;
        let problem = outcome.unwrap_err().problem;
        assert_eq!(problem.detail(), format!("the tools of `mcp_servers.crm` are not to be had: {why}"));
        assert!(calls.is_empty(), "no model was called");

        let (outcome, calls) = run(mcp.server().optional()).await;
        assert_eq!(calls[0].tools.len(), 0);
        let reasons: Vec<_> = outcome.unwrap().trail.into_iter().filter_map(|entry| entry.reason).collect();
        let expected = format!("its tools are not to be had: {why}; the turn goes on without its tools");
        assert!(reasons.contains(&expected.into()), "{reasons:?}");

        let (outcome, calls) = run(mcp.server().with_tool("t1")).await;
        assert!(outcome.is_ok());
        assert_eq!(calls[0].tools, ["crm_t1"]);
    }
}

#[tokio::test]
async fn what_is_no_tool_is_told_a_few_times() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    mcp.set_tools((0..5_000).map(|at| if at == 4_000 { tools()[0].clone() } else { json!(0) }).collect());
    let script = calling(&[], 1);
    let server = mcp.server().with_approval_of("gone");
    let result = desk(&script, server).build().unwrap().run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(script.calls()[0].tools, ["crm_add"]);
    let reasons: Vec<_> = result.trail.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("it has no tool `gone`")), "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| reason.contains("no object")).count(), 32);
    assert!(reasons.iter().any(|reason| reason.starts_with("more of its tools")), "{reasons:?}");
}

#[tokio::test]
async fn what_the_server_repeats_of_the_call_is_taken_out() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    mcp.set_tools({
        let mut tools = tools();
        tools[0]["description"] = json!(format!("For Bearer {TOKEN}."));
        tools
    });
    let script = calling(&[("crm_add", json!({}))], 1);
    let echo = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32602, "message": format!("not {TOKEN}") } });
    mcp.then(HttpAnswer::json(&echo));
    let result =
        desk(&script, mcp.server()).build().unwrap().run("Hello").context_header("token", TOKEN).await.unwrap();
    assert!(!format!("{:?}", script.calls()[0].descriptions).contains(TOKEN));
    let said = said(&result.messages);
    assert!(said[2].starts_with("tool: The server refused the call with error -32602: not "), "{}", said[2]);
    assert!(!said[2].contains(TOKEN));
}
