//! The tool calls of one answer run at the same time, and so do the agents that it asks.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Barrier;

use crate::script::{Answer, Script};
use crate::support::{agent, runner, tool};

#[tokio::test]
async fn tools_and_a_childs_tools_meet_at_a_barrier() {
    let barrier = Arc::new(Barrier::new(4));
    let meet = || {
        let barrier = Arc::clone(&barrier);
        tool("meet", move |_| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                Ok("met".into())
            }
        })
    };
    let ask = |agent: &str| ("ask_agent", json!({"agent": agent, "input": "?"}));
    let script = Script::default()
        .on("a", [Answer::calls([("meet", json!({})), ask("b"), ("meet", json!({})), ask("c")]), Answer::text("done")])
        .on("b", [Answer::tool("meet"), Answer::text("b")])
        .on("c", [Answer::tool("meet"), Answer::text("c")]);
    let agents = [
        agent("a").with_tool(meet()).with_delegate("b").with_delegate("c"),
        agent("b").with_tool(meet()),
        agent("c").with_tool(meet()),
    ];
    // None of the four ends before all have begun.
    assert_eq!(runner(&script, agents).run("Hello").await.unwrap().output, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_that_block_their_thread_run_on_several() {
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let meet = tool("meet", move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            tokio::task::block_in_place(|| barrier.wait());
            Ok("met".into())
        }
    });
    let script = Script::default().on("a", [Answer::calls(vec![("meet", json!({})); 2]), Answer::text("done")]);
    assert_eq!(runner(&script, [agent("a").with_tool(meet)]).run("Hello").await.unwrap().output, "done");
}
