//! An MCP server gets the caller's token for it with every request, when it is asked for its tools too; and no two callers
//! share what is kept of it.

use letterhead::run::RunEnd;
use letterhead::{CallerSource, Code, McpServer, Registry};
use letterhead_testkit::{Answer, ScriptedTokens};
use serde_json::json;

use crate::bank::{Bank, carried, never_got, of, turn, user};
use crate::mcp_server::{Era, Mcp, calling, content};
use crate::support::{agent, said_in};

fn server(mcp: &Mcp) -> McpServer {
    McpServer::new("crm", mcp.api.url("/mcp"))
}

fn desk(bank: &Bank, server: McpServer, turns: usize) -> Registry {
    let script = calling(&[("crm_add", json!({ "a": 1, "b": 2 }))], turns);
    let agent = agent("a").with_tool_named("crm");
    bank.builder(&script).mcp_server(server.with_token_exchange(bank.exchange())).agent(agent).build().unwrap()
}

#[tokio::test]
async fn discovery_and_calls_carry_it() {
    for era in [Era::Standalone, Era::Session] {
        let (bank, mcp) = (Bank::start().await, Mcp::start(era, true).await);
        let outcome = turn(&desk(&bank, server(&mcp), 1), user("ada"), Vec::new()).await;
        assert!(said_in(&outcome).contains(&"tool: 3".to_owned()), "{:?}", said_in(&outcome));
        let carried = carried(&mcp.api);
        assert!(carried.len() >= 3);
        // What a server of an older revision asks meanwhile is answered with it, too.
        assert!(carried.iter().all(|header| header == "Bearer issued-canary-orders-1"), "{carried:?}");
        never_got(&mcp.api, "own-canary");
    }
}

#[tokio::test]
async fn no_two_callers_share_a_session() {
    let (bank, mcp) = (Bank::start().await, Mcp::start(Era::Standalone, false).await);
    let desk = desk(&bank, server(&mcp), 3);
    for name in ["ada", "bob", "ada"] {
        turn(&desk, user(name), Vec::new()).await;
    }
    let of = |method: &str| -> Vec<_> {
        mcp.asked(method).iter().map(|asked| asked.header("authorization").concat()).collect()
    };
    let (ada, bob) = ("Bearer issued-canary-orders-1", "Bearer issued-canary-orders-2");
    assert_eq!(of("tools/list"), [ada, bob], "each asks for itself, once");
    assert_eq!(of("tools/call"), [ada, bob, ada]);
}

#[tokio::test]
async fn a_token_that_it_refuses_is_got_anew_and_the_call_made_once_more() {
    let (bank, mcp) = (Bank::start().await, Mcp::start(Era::Standalone, false).await);
    mcp.then(Answer::error(401, &json!({})));
    let outcome = turn(&desk(&bank, server(&mcp), 1), user("ada"), Vec::new()).await;
    assert!(said_in(&outcome).contains(&"tool: 3".to_owned()), "{:?}", said_in(&outcome));
    let calls: Vec<_> = mcp.asked("tools/call").iter().map(|asked| asked.header("authorization").concat()).collect();
    assert_eq!(calls, ["Bearer issued-canary-orders-1", "Bearer issued-canary-orders-2"]);
}

#[tokio::test]
async fn a_server_that_sends_it_back_does_not_show_it() {
    let (bank, mcp) = (Bank::start().await, Mcp::start(Era::Standalone, false).await);
    let echo = json!({ "jsonrpc": "2.0", "id": 0, "result": content("issued-canary-orders-1") });
    // The id of a call is not known in advance: an error may be without one.
    let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": 7, "message": echo.to_string() } });
    mcp.then(Answer::json(&error));
    let outcome = turn(&desk(&bank, server(&mcp), 1), user("ada"), Vec::new()).await;
    let said = said_in(&outcome).concat();
    assert!(said.contains("error 7") && said.contains("\u{2039}removed\u{203a}"), "{said}");
}

#[tokio::test]
async fn without_it_the_server_is_not_asked_and_the_turn_ends_unless_it_is_optional() {
    let key = || of(CallerSource::ApiKey, Some("key:ci"), None);
    for (by_endpoint, code, why) in [
        (false, Code::MissingCredential, "the caller came with an API key"),
        (true, Code::ContextUnavailable, "the token endpoint refused, with 400 invalid_target"),
    ] {
        for optional in [false, true] {
            let (bank, mcp) = (Bank::start().await, Mcp::start(Era::Standalone, false).await);
            bank.tokens.then(Answer::error(400, &json!({ "error": "invalid_target" })));
            let server = if optional { server(&mcp).optional() } else { server(&mcp) };
            let context = if by_endpoint { user("ada") } else { key() };
            let outcome = turn(&desk(&bank, server, 1), context, Vec::new()).await;
            assert!(mcp.methods().is_empty(), "{:?}", mcp.methods());
            assert!(
                outcome.trail.iter().all(|entry| !entry.sent || &*entry.destination != "mcp_servers.crm"),
                "{:?}",
                outcome.trail
            );
            match outcome.end {
                RunEnd::Failed(problem) if !optional => {
                    assert_eq!(problem.code(), code);
                    assert!(problem.detail().contains(why), "{problem:?}");
                }
                RunEnd::Complete(_) if optional => {}
                end => panic!("{end:?}"),
            }
        }
    }
}

/// It was asked for its tools with one that is no good any more when a tool is called.
#[tokio::test]
async fn a_call_without_one_is_not_made_and_the_run_goes_on() {
    let (bank, mcp) = (Bank::start().await, Mcp::start(Era::Standalone, false).await);
    bank.tokens.expire_in(0);
    let answers = ["discover", "list"].map(|which| ScriptedTokens::answer(&format!("issued-canary-{which}"), 0));
    for answer in answers {
        bank.tokens.then(Answer::json(&answer));
    }
    bank.tokens.then(Answer::error(400, &json!({ "error": "invalid_grant" })));
    let outcome = turn(&desk(&bank, server(&mcp), 1), user("ada"), Vec::new()).await;
    let expected = "tool: The call was not made: no token for it: the token endpoint refused, with 400 invalid_grant.";
    assert!(said_in(&outcome).contains(&expected.to_owned()), "{:?}", said_in(&outcome));
    assert!(matches!(outcome.end, RunEnd::Complete(_)));
    assert!(mcp.asked("tools/call").is_empty());
}
