//! An MCP server that cannot be used ends the turn before the model is called, unless it is optional; a call that fails
//! is a result.

use std::time::Duration;

use letterhead::run::RunError;
use letterhead::{Agent, Code, McpServer, Problem, Runner};
use letterhead_testkit::{Answer as HttpAnswer, ScriptedApi};
use serde_json::{Value, json};

use crate::mcp_server::{Era, Mcp, TOKEN, calling, desk, told, tools};
use crate::support::gives;

fn problem(error: RunError) -> Problem {
    error.problem
}

async fn refused(server: McpServer) -> Problem {
    let script = calling(&[], 1);
    let error = desk(&script, server).build().unwrap().run("Hello").context_header("token", TOKEN).await.unwrap_err();
    assert!(script.calls().is_empty(), "no model was called");
    problem(error)
}

#[tokio::test]
async fn a_server_that_is_down_ends_the_turn() {
    let api = ScriptedApi::nowhere().await;
    let problem = refused(McpServer::new("crm", format!("{api}/mcp"))).await;
    assert_eq!((problem.code(), problem.should_retry()), (Code::ContextUnavailable, Some(false)));
    assert_eq!(problem.detail(), "the tools of `mcp_servers.crm` are not to be had: the connection was refused");
}

#[tokio::test]
async fn an_optional_one_is_done_without_and_the_trail_says_so() {
    let api = ScriptedApi::nowhere().await;
    let script = calling(&[], 1);
    let server = McpServer::new("crm", format!("{api}/mcp")).optional();
    let result = desk(&script, server).build().unwrap().run("Hello").await.unwrap();
    assert_eq!((&*result.output, script.calls()[0].tools.len()), ("done", 0));
    let entry = result.trail.iter().find(|entry| &*entry.destination == "mcp_servers.crm").unwrap();
    assert_eq!(serde_json::to_value(entry).unwrap()["kind"], "mcp_server");
    assert_eq!(
        entry.reason.as_deref(),
        Some("its tools are not to be had: the connection was refused; the turn goes on without its tools")
    );
}

#[tokio::test]
async fn without_its_credential_a_server_is_not_asked() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = calling(&[], 1);
    let error = desk(&script, mcp.server()).build().unwrap().run("Hello").await.unwrap_err();
    let problem = problem(error);
    assert_eq!(problem.code(), Code::MissingCredential);
    assert!(problem.detail().contains("`headers.token`, which is missing"), "{}", problem.detail());
    let script = calling(&[], 1);
    let result = desk(&script, mcp.server().optional()).build().unwrap().run("Hello").await.unwrap();
    assert_eq!((&*result.output, mcp.api.requests().len()), ("done", 0));
}

#[tokio::test]
async fn who_is_not_let_in_does_not_try_another_way() {
    for status in [401, 403, 429] {
        let api = ScriptedApi::start().await;
        api.always(move |_| HttpAnswer::status(status));
        let problem = refused(McpServer::new("crm", api.url("/mcp"))).await;
        assert!(problem.detail().ends_with(&format!("it answered with status {status}")), "{}", problem.detail());
        assert_eq!(api.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_answer_of_the_protocol_is_a_fault() {
    let list = |answer: fn() -> HttpAnswer| async move {
        let api = ScriptedApi::start().await;
        api.always(move |request| {
            let message = request.json();
            let result = json!({ "supportedVersions": ["2026-07-28"] });
            match message["method"].as_str() {
                Some("server/discover") => {
                    HttpAnswer::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
                }
                _ => answer(),
            }
        });
        let server = McpServer::new("crm", api.url("/mcp")).with_timeout(Duration::from_millis(300));
        refused(server).await.detail().to_owned()
    };
    for (answer, part) in [
        ((|| HttpAnswer::text("hello")) as fn() -> HttpAnswer, "no message of the protocol"),
        (|| HttpAnswer::json(&json!([1])), "no message of the protocol"),
        (|| HttpAnswer::json(&json!({ "jsonrpc": "2.0", "id": 0, "result": {} })), "no message of the protocol"),
        (|| HttpAnswer::sse(["{"]), "an event that is no JSON"),
        (|| HttpAnswer::sse([r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#]), "ended before the answer"),
        (|| HttpAnswer::cut("application/json", "{"), "ended before the answer did"),
        (HttpAnswer::close, "the connection ended before the answer did"),
        (HttpAnswer::hang, "no whole answer within 300ms"),
        (|| HttpAnswer::large(2 << 20), "larger than 1048576 bytes"),
        (|| HttpAnswer::live().0, "before the answer"),
        (|| HttpAnswer::redirect(307, "http://127.0.0.1:1/mcp"), "redirects to another origin"),
        (|| HttpAnswer::redirect(302, "/mcp"), "redirects a call that may have effects"),
        (|| HttpAnswer::status(500), "status 500"),
    ] {
        let detail = list(answer).await;
        assert!(detail.contains(part), "{part}: {detail}");
        assert!(!detail.contains("127.0.0.1") && !detail.contains("hello"), "{detail}");
    }
}

#[tokio::test]
async fn a_private_address_is_refused() {
    let script = calling(&[], 1);
    let built = Runner::with_agents([crate::support::agent("a").with_tool_named("crm")])
        .provider(script.provider())
        .mcp_server(McpServer::new("crm", "http://127.0.0.1:9/mcp"));
    let error = built.build().unwrap().run("Hello").await.unwrap_err();
    assert!(problem(error).detail().contains("a place where calls out do not go"));
}

#[tokio::test]
async fn a_tool_named_like_another_refuses_the_whole_server() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let agent = crate::support::agent("a").with_tool_named("crm").with_tool(gives("crm_add", "x"));
    for (server, fails) in [(mcp.server(), true), (mcp.server().optional(), false)] {
        let script = calling(&[], 1);
        let runner = build(&script, server, [agent.clone()]);
        let outcome = runner.run("Hello").context_header("token", TOKEN).await;
        match outcome {
            Err(error) if fails => assert_eq!(
                problem(error).detail(),
                "the tools of `mcp_servers.crm` are not to be had: it offers a tool `crm_add`, and the agent has one of \
                 this name"
            ),
            Ok(result) if !fails => {
                assert_eq!(script.calls()[0].tools, ["crm_add"]);
                assert!(result.trail.iter().any(|e| e.reason.as_deref().is_some_and(|r| r.contains("`crm_add`"))));
            }
            other => panic!("{other:?}"),
        }
    }
    let mut same = tools();
    same[1]["name"] = json!("add");
    mcp.set_tools(same);
    let problem = refused(mcp.server()).await;
    assert!(problem.detail().ends_with("two of its tools would be called `crm_add`"), "{}", problem.detail());
}

fn build(script: &crate::script::Script, server: McpServer, agents: impl IntoIterator<Item = Agent>) -> Runner {
    let allow = letterhead::outbound::EgressAllow::parse(&["127.0.0.1"]).unwrap();
    let options = letterhead::outbound::GuardOptions { allow, ..Default::default() };
    let schema = letterhead::HeaderSchema::compile(&json!({ "properties": { "token": { "writeOnly": true } } }));
    Runner::with_agents(agents)
        .provider(script.provider())
        .headers(schema.unwrap())
        .guarded_client(letterhead::outbound::GuardedClient::new(options).unwrap())
        .mcp_server(server)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_call_that_fails_is_a_result() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let of = |result: Value| HttpAnswer::json(&json!({ "jsonrpc": "2.0", "id": null, "error": result }));
    for (answer, expected) in [
        (HttpAnswer::status(500), "The call failed: it answered with status 500."),
        (HttpAnswer::close(), "The call failed: the connection ended before the answer did."),
        (HttpAnswer::sse(["{]"]), "The call failed: its stream has an event that is no JSON."),
        (HttpAnswer::hang(), "The call failed: no whole answer within 300ms."),
        (HttpAnswer::endless(), "The call failed: the answer is larger than 1048576 bytes."),
        (
            of(json!({ "code": -32602, "message": "Unknown tool." })),
            "The server refused the call with error -32602: Unknown tool.",
        ),
        (of(json!({ "code": -32603 })), "The call failed: it answered with the JSON-RPC error -32603."),
    ] {
        mcp.then(answer);
        let server = mcp.server().with_timeout(Duration::from_millis(300));
        assert_eq!(told(&mcp, server, "crm_add", json!({})).await, expected);
    }
    let told = told(&mcp, mcp.server(), "crm_add", json!([1])).await;
    assert_eq!(told, "The arguments are no JSON object. Nothing was called.");
}

#[tokio::test]
async fn a_delegate_without_its_server_fails_and_its_parent_goes_on() {
    let api = ScriptedApi::nowhere().await;
    let script = crate::script::Script::default().on(
        "a",
        [
            crate::script::Answer::calls([("ask_agent", json!({ "agent": "b", "input": "Hello" }))]),
            crate::script::Answer::text("done"),
        ],
    );
    let parent = crate::support::agent("a").with_delegate("b");
    let child = crate::support::agent("b").with_description("Knows.").with_tool_named("crm");
    let runner = Runner::with_agents([parent, child])
        .provider(script.provider())
        .mcp_server(McpServer::new("crm", format!("{api}/mcp")))
        .build()
        .unwrap();
    let result = runner.run("Hello").await.unwrap();
    assert_eq!((&*result.output, script.calls_of("a").len(), script.calls_of("b").len()), ("done", 2, 0));
    let said = crate::support::said(&result.messages);
    assert!(said[2].contains("mcp_servers.crm"), "{}", said[2]);
}

#[tokio::test]
async fn after_a_handoff_the_other_agents_servers_are_asked() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = crate::script::Script::default()
        .on("a", [crate::script::Answer::tool("handoff_to_b")])
        .on("b", [crate::script::Answer::text("done")]);
    let target = crate::support::agent("b").with_description("Knows.").with_tool_named("crm");
    let agents = [crate::support::agent("a").with_handoff("b"), target];
    let runner = build(&script, mcp.server(), agents);
    let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(result.output, "done");
    assert_eq!(script.call_of("a").tools, ["handoff_to_b"]);
    assert_eq!(script.call_of("b").tools, ["crm_add", "crm_orders_find"]);
}

#[test]
fn faults_of_a_server_are_found_when_it_is_built() {
    let faults = |servers: Vec<McpServer>, names: &[&str]| -> Vec<String> {
        let agent = names.iter().fold(Agent::new("a"), |agent, name| agent.with_tool_named(*name));
        let built =
            servers.into_iter().fold(Runner::with_agents([agent]), letterhead::RunnerBuilder::mcp_server).build();
        built.err().map_or_else(Vec::new, |error| error.0.iter().map(ToString::to_string).collect())
    };
    let crm = || McpServer::new("crm", "https://crm.example.com/mcp");
    assert_eq!(faults(vec![crm()], &["crm"]), [""; 0]);
    let wrong = crm()
        .with_header("Mcp-Session-Id", "x")
        .with_header("X-User", "{{ headers.nobody }}")
        .with_tool("add")
        .with_tool("add")
        .with_tool_as("sum", "a b")
        .with_timeout(Duration::ZERO);
    let told = faults(vec![wrong], &["crm"]);
    for part in ["`mcp-session-id` belongs to the protocol", "nobody", "named twice", "`a b`", "more time"] {
        assert!(
            told.iter().any(|fault| fault.starts_with("MCP server `crm`") && fault.contains(part)),
            "{part}: {told:#?}"
        );
    }
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(faults(vec![crm(), crm()], &[])[0].contains("two MCP servers of this name"));
    assert!(faults(vec![crm()], &["crn"])[0].contains("did you mean `crm`?"));
    assert!(faults(vec![crm()], &["crm", "crm"])[0].contains("named twice"));
}

#[tokio::test]
async fn a_clients_tool_may_not_have_the_name_of_one() {
    use letterhead::model::ToolSpec;
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = calling(&[], 1);
    let runner = desk(&script, mcp.server()).build().unwrap();
    let spec = ToolSpec::new("crm_add", None, json!({})).unwrap();
    let schema = runner.registry().schema().clone();
    let token = Value::from(TOKEN);
    let headers = schema.merge([("token", &token)], &letterhead::Sent::nothing(), &[]).unwrap();
    let context = letterhead::RequestContext::builder(letterhead::Caller::anonymous(), headers).build("a");
    let mut input = letterhead::run::RunInput::default();
    input.client_tools = vec![spec.into()];
    let limits = letterhead::Limits::default();
    let outcome = runner.registry().run(context, input, limits, Default::default(), letterhead::Events::none()).await;
    let letterhead::run::RunEnd::Failed(problem) = outcome.end else { panic!("{outcome:?}") };
    assert_eq!(problem.code(), Code::InvalidBody);
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn a_turn_that_is_cancelled_tells_the_server() {
    for era in [Era::Session, Era::Standalone] {
        let mcp = Mcp::start(era, false).await;
        let script = calling(&[("crm_add", json!({}))], 1);
        let runner = desk(&script, mcp.server()).build().unwrap();
        mcp.then(HttpAnswer::hang());
        let before = if era == Era::Session { 5 } else { 3 };
        {
            let run = runner.run("Hello").context_header("token", TOKEN);
            tokio::select! {
                _ = run => panic!("it hangs"),
                _ = mcp.api.received(before) => {}
            }
        }
        mcp.api.left(1).await;
        if era == Era::Session {
            let requests = mcp.api.received(before + 1).await;
            let (call, cancelled) = (requests[before - 1].json(), requests[before].json());
            assert_eq!(cancelled["method"], "notifications/cancelled");
            assert_eq!(cancelled["params"]["requestId"], call["id"]);
        }
    }
}
