//! A call that needs approval waits in the result, survives storage, and is made when the program says so, and not else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use letterhead::run::{ApprovalAnswer, PendingApproval};
use letterhead::tool::{FunctionTool, ToolContext, ToolError};
use letterhead::{Code, RunEvent, RunResult, Runner};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script, Seen};
use crate::support::{agent, either, gives, runner, said, tool};

#[derive(Deserialize, JsonSchema)]
struct Refund {
    order: u32,
}

/// An agent that may refund, with approval, and look, without; and how often it has refunded.
fn shop(script: &Script) -> (Runner, Arc<AtomicU32>) {
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let refund = move |refund: Refund, _: ToolContext| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, ToolError>(format!("refunded {}", refund.order)) }
    };
    let refund = FunctionTool::new("refund", "Gives money back.", refund).unwrap().with_approval();
    (runner(script, [agent("a").with_tool(refund).with_tool(gives("look", "seen"))]), made)
}

fn calls() -> Answer {
    Answer::calls([("refund", json!({ "order": 1 })), ("look", json!({})), ("refund", json!({ "order": 2 }))])
}

fn kept(result: &RunResult) -> RunResult {
    serde_json::from_str(&serde_json::to_string(result).unwrap()).unwrap()
}

#[tokio::test]
async fn one_is_approved_the_other_refused_from_storage_streaming_or_not() {
    for stream in [false, true] {
        let script = Script::default().on("a", [calls(), Answer::text("done")]);
        let (runner, made) = shop(&script);
        let waiting = kept(&either(runner.run("Hello"), stream).await);
        assert_eq!(
            waiting.approvals.iter().map(|call| &*call.arguments).collect::<Vec<_>>(),
            [r#"{"order":1}"#, r#"{"order":2}"#]
        );
        assert_eq!((made.load(Ordering::SeqCst), script.calls().len()), (0, 1), "nothing was made, nobody asked again");

        let answers = [waiting.approvals[0].approve(), waiting.approvals[1].refuse("too much")];
        let result = either(runner.resume(&waiting, answers).unwrap(), stream).await;
        assert_eq!((result.output.as_str(), made.load(Ordering::SeqCst)), ("done", 1));
        assert!(result.approvals.is_empty());
        let said = said(&result.messages);
        assert_eq!(said[0], "user: Hello");
        assert!(said.contains(&"tool: refunded 1".to_owned()), "{said:?}");
        assert!(said.iter().any(|message| message.contains("too much")), "{said:?}");
        assert_eq!(said.iter().filter(|message| message.starts_with("tool:")).count(), 3, "a result for each call");
    }
}

#[tokio::test]
async fn what_is_not_answered_waits_further() {
    let script = Script::default().on("a", [calls(), Answer::text("done")]);
    let (runner, made) = shop(&script);
    let waiting = runner.run("Hello").await.unwrap();
    let first = runner.resume(&waiting, [waiting.approvals[1].approve()]).unwrap().await.unwrap();
    assert_eq!((first.approvals.len(), made.load(Ordering::SeqCst), script.calls().len()), (1, 1, 1));
    let last = runner.resume(&kept(&first), first.approvals.iter().map(PendingApproval::approve)).unwrap();
    assert_eq!(last.await.unwrap().output, "done");
    assert_eq!(made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_new_message_instead_leaves_them_unmade() {
    let script = Script::default().on("a", [calls(), Answer::text("done")]);
    let (runner, made) = shop(&script);
    let waiting = runner.run("Hello").await.unwrap();
    let result = runner.run("Never mind").previous(&kept(&waiting)).await.unwrap();
    assert_eq!((result.output.as_str(), made.load(Ordering::SeqCst)), ("done", 0));
    let call = script.calls().pop().unwrap();
    let results = call.messages.iter().filter(|message| message["role"] == "tool").count();
    assert_eq!(results, 3, "each call has a result, as models want it");
    assert!(result.approvals.is_empty());
}

#[tokio::test]
async fn answers_that_are_for_nothing_are_refused() {
    let script = Script::default().on("a", [calls(), Answer::text("done")]);
    let (runner, made) = shop(&script);
    let waiting = runner.run("Hello").await.unwrap();
    let approve = || waiting.approvals[0].approve();
    let odd = |id: &str| ApprovalAnswer { id: id.into(), approved: true, reason: None };
    for answers in
        [vec![], vec![odd("")], vec![odd("msg_1:0")], vec![approve(), odd("x:9")], vec![approve(), approve()]]
    {
        assert_eq!(runner.resume(&waiting, answers).unwrap_err().code(), Code::InvalidBody);
    }
    let mut result = runner
        .resume(&waiting, [waiting.approvals[0].refuse("no"), waiting.approvals[1].refuse("no")])
        .unwrap()
        .await
        .unwrap();
    assert!(runner.resume(&result, [approve()]).is_err(), "it is decided");
    // A result that somebody wrote has no calls to make.
    result.approvals = waiting.approvals.clone();
    result.messages.clear();
    assert!(runner.resume(&result, [approve()]).is_err());
    assert_eq!(made.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_handoff_beside_a_call_that_waits_is_no_more_made_than_that() {
    let both = || Answer::calls([("refund", json!({ "order": 1 })), ("handoff_to_b", json!({}))]);
    let script = Script::default().on("a", [both(), Answer::text("well"), both()]).on("b", [Answer::text("done")]);
    let refund =
        |refund: Refund, _: ToolContext| async move { Ok::<_, ToolError>(format!("refunded {}", refund.order)) };
    let refund = FunctionTool::new("refund", "Gives money back.", refund).unwrap().with_approval();
    let runner = runner(&script, [agent("a").with_tool(refund).with_handoff("b"), agent("b")]);

    let waiting = runner.run("Hello").await.unwrap();
    let other = runner.run("Forget it").previous(&waiting).await.unwrap();
    assert_eq!((other.output.as_str(), &*other.current_agent), ("well", "a"));
    let results = other.messages.iter().filter(|message| message.contains("tool_call_id")).count();
    assert_eq!(results, 2, "a model takes no call without a result: {:?}", said(&other.messages));

    let waiting = runner.run("Again").previous(&other).await.unwrap();
    let done = runner.resume(&waiting, [waiting.approvals[0].approve()]).unwrap().await.unwrap();
    assert_eq!((done.output.as_str(), &*done.current_agent), ("done", "b"));
}

#[tokio::test]
async fn whatever_was_left_open_does_not_end_the_conversation() {
    let refund = |order: u32| ("refund", json!({ "order": order }));
    let (first, second) = ([refund(1), ("hang", json!({})), refund(2)], [refund(3), refund(4)]);
    let script = Script::default()
        .on("a", [Answer::calls(first), Answer::text("well")])
        .on("a", [Answer::calls(second), Answer::text("good"), Answer::text("yes")]);
    let shop = |needs_approval: bool| {
        let refund = FunctionTool::new("refund", "Gives money back.", |_: Refund, _: ToolContext| async {
            Ok::<_, ToolError>("refunded")
        });
        let refund = refund.unwrap();
        let refund = if needs_approval { refund.with_approval() } else { refund };
        let hang = tool("hang", |_| std::future::pending());
        runner(&script, [agent("a").with_tool(refund).with_tool(hang)])
    };
    let is_whole = |call: &Seen| {
        let ids = |role: &str| -> Vec<String> {
            let mut ids: Vec<_> = call.messages.iter().filter(|it| it["role"] == role).flat_map(ids_in).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids("assistant"), ids("tool"), "{:?}", call.messages);
    };

    // Cancelled while another tool is at work.
    let runner = shop(true);
    let stop = CancellationToken::new();
    let mut run = runner.run("Hello").cancelled_by(stop.clone()).stream();
    while let Some(event) = run.next().await {
        if matches!(event, RunEvent::ToolStarted { .. }) {
            stop.cancel();
        }
    }
    let cancelled = run.result().await.unwrap();
    assert_eq!((cancelled.finish, cancelled.approvals.len()), (None, 0));
    let other = runner.run("And now?").previous(&kept(&cancelled)).await.unwrap();
    is_whole(&script.calls().pop().unwrap());

    // Not decided, and the tool needs no approval any more when the program goes on.
    let waiting = runner.run("Again").previous(&other).await.unwrap();
    let done = shop(false).resume(&kept(&waiting), [waiting.approvals[0].approve()]).unwrap().await.unwrap();
    is_whole(&script.calls().pop().unwrap());
    assert_eq!(done.output, "good");
    runner.run("Thanks").previous(&done).await.unwrap();
    is_whole(&script.calls().pop().unwrap());
}

fn ids_in(message: &Value) -> Vec<String> {
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["id"]);
    let result = message.get("tool_call_id").into_iter();
    calls.chain(result).map(|id| id.as_str().unwrap().to_owned()).collect()
}
