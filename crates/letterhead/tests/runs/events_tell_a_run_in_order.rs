//! The events of a run: what happens, in the order in which it happens.

use letterhead::run::RunEvent;
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, all, gives, runner};

/// An event in short.
fn short(event: &RunEvent) -> String {
    match event {
        RunEvent::RunStarted { agent } => format!("start {agent}"),
        RunEvent::RunCompleted { agent, usage } => format!("end {agent} {}", usage.input_tokens),
        RunEvent::ModelCallStarted { agent, model, step } => format!("call {step} {agent} {model}"),
        RunEvent::ModelCallCompleted { agent, usage, finish } => {
            format!("called {agent} {} {}", usage.input_tokens, finish.as_str())
        }
        RunEvent::Text(text) => format!("'{text}'"),
        RunEvent::ToolStarted { id, name, arguments } => format!("tool {id} {name} {arguments}"),
        RunEvent::ToolCompleted { id, result, is_error, .. } => {
            format!("{} {id} {result}", if *is_error { "failed" } else { "done" })
        }
        RunEvent::RunFailed { problem } => format!("failed: {}", problem.code()),
        RunEvent::RunCancelled { agent } => format!("cancelled {agent}"),
        RunEvent::AgentCompleted { agent } => format!("{agent} is done"),
        RunEvent::HandedOver { from, to } => format!("{from} -> {to}"),
        RunEvent::Child { agent, call_id, event } => format!("{call_id} {agent}: {}", short(event)),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_with_a_bit_of_everything() {
    let script = Script::default()
        .on(
            "a",
            [
                Answer::calls([("look", json!({"at": 1})), ("none", json!({}))]),
                Answer::calls([("ask_agent", json!({"agent": "c", "input": "?"}))]),
                Answer::tool("handoff_to_b"),
            ],
        )
        .on("c", [Answer::text("yes")])
        .on("b", [Answer::text("all done")]);
    let a = agent("a").with_tool(gives("look", "seen")).with_delegate("c").with_handoff("b");
    let (events, result) = all(runner(&script, [a, agent("b"), agent("c")]).run("Hello").stream()).await;
    let told: Vec<String> = events.iter().map(short).collect();
    let (before, after) = told.split_at(5);
    assert_eq!(
        before,
        ["start a", "call 1 a test:a", "called a 10 tool_calls", r#"tool call_0 look {"at":1}"#, "tool call_1 none {}",]
    );
    // The two end in an order of their own.
    let (mut two, rest) = (after[..2].to_vec(), &after[2..]);
    two.sort();
    assert_eq!(two[0], "done call_0 seen");
    assert!(two[1].starts_with("failed call_1 There is no tool of this name."), "{}", two[1]);
    assert_eq!(
        rest,
        [
            "call 2 a test:a",
            "called a 10 tool_calls",
            r#"tool call_0 ask_agent {"agent":"c","input":"?"}"#,
            "call_0 c: start c",
            "call_0 c: call 1 c test:c",
            "call_0 c: 'yes'",
            "call_0 c: called c 10 stop",
            "call_0 c: c is done",
            "call_0 c: end c 10",
            "done call_0 yes",
            "call 3 a test:a",
            "called a 10 tool_calls",
            "tool call_0 handoff_to_b {}",
            "done call_0 b has the conversation now.",
            "a is done",
            "a -> b",
            "call 4 b test:b",
            "'all '",
            "'done'",
            "called b 10 stop",
            "b is done",
            "end b 50",
        ]
    );
    assert_eq!(result.usage.input_tokens, 50);
}

#[tokio::test]
async fn a_run_that_fails_says_so_last() {
    let broken = Answer::default().word_by_word("So").fail(letterhead::model::ModelErrorKind::Failed);
    let script = Script::default().on("a", [broken]);
    let mut stream = runner(&script, [agent("a")]).run("Hello").stream();
    let mut told = Vec::new();
    while let Some(event) = futures_util::StreamExt::next(&mut stream).await {
        told.push(short(&event));
    }
    assert_eq!(told, ["start a", "call 1 a test:a", "'So'", "failed: upstream_failed"]);
    assert_eq!(stream.result().await.unwrap_err().output, "So");
}
