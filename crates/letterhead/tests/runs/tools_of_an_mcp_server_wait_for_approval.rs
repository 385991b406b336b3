//! The tools of an MCP server need approval as the program says, by the server's own names for them.

use letterhead::McpServer;
use letterhead::run::PendingApproval;
use serde_json::json;

use crate::mcp_server::{Era, Mcp, TOKEN, desk};
use crate::script::{Answer, Script};
use crate::support::said;

fn both() -> Answer {
    Answer::calls([("crm_add", json!({ "a": 1, "b": 2 })), ("crm_orders_find", json!({}))])
}

/// The calls that wait, of an answer that calls both tools; and how many were made at once.
async fn waiting(of: impl Fn(McpServer) -> McpServer) -> (Vec<String>, usize) {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = Script::default().on("a", [both(), Answer::text("done")]);
    let runner = desk(&script, of(mcp.server())).build().unwrap();
    let paused = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    let made = mcp.count("tools/call");
    let names = paused.approvals.iter().map(|call| call.name.to_string()).collect();
    if !paused.approvals.is_empty() {
        let answers = paused.approvals.iter().map(PendingApproval::approve);
        let done = runner.resume(&paused, answers).unwrap().context_header("token", TOKEN).await.unwrap();
        assert_eq!((done.output.as_str(), mcp.count("tools/call")), ("done", 2));
        assert!(said(&done.messages).contains(&"tool: 3".to_owned()));
    }
    (names, made)
}

#[tokio::test]
async fn all_some_or_none_of_them() {
    assert_eq!(waiting(|server| server).await, (vec![], 2));
    assert_eq!(waiting(McpServer::with_approval).await, (vec!["crm_add".to_owned(), "crm_orders_find".to_owned()], 0));
    assert_eq!(waiting(|server| server.with_approval_of("orders.find")).await, (vec!["crm_orders_find".to_owned()], 1));
    let renamed = |server: McpServer| {
        server.with_tool_as("orders.find", "orders_find").with_tool("add").with_approval_of("orders.find")
    };
    assert_eq!(waiting(renamed).await, (vec!["crm_orders_find".to_owned()], 1));
    // All stays all.
    assert_eq!(waiting(|server| server.with_approval().with_approval_of("add")).await.0.len(), 2);
}

#[tokio::test]
async fn a_name_that_is_not_right_is_a_fault_where_it_can_be_seen_and_leaves_no_tool_free_where_it_cannot() {
    let mcp = Mcp::start(Era::Standalone, false).await;
    let script = Script::default().on("a", [Answer::text("done")]);
    let server = mcp.server().with_tool("orders.find").with_approval_of("order.find");
    let faults = desk(&script, server).build().unwrap_err().to_string();
    assert!(faults.contains("`order.find`") && faults.contains("did you mean `orders.find`?"), "{faults}");
    // Without a list of tools only the server can say what there is.
    let misspelt = |server: McpServer| server.with_approval_of("order.find").with_approval_of("add");
    assert_eq!(waiting(misspelt).await, (vec!["crm_add".to_owned(), "crm_orders_find".to_owned()], 0));
    // With one, what this caller does not have nobody can call, whatever its name is now.
    let gone = |server: McpServer| {
        server.with_tool("add").with_tool("orders.find").with_tool("orders.delete").with_approval_of("orders.delete")
    };
    assert_eq!(waiting(gone).await, (vec![], 2));
    let runner = desk(&script, misspelt(mcp.server())).build().unwrap();
    let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    let noted =
        |text: &str| result.trail.iter().any(|entry| entry.reason.as_deref().is_some_and(|why| why.contains(text)));
    assert!(
        noted("it has no tool `order.find`") && noted("every call of its tools needs approval"),
        "{:?}",
        result.trail
    );
    assert!(!noted("`add`"), "{:?}", result.trail);
}
