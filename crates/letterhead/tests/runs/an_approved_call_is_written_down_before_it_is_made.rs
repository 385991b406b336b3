//! What remembers approved calls is asked before each is made, and has the say.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use letterhead::run::{ApprovalAnswer, ApprovedCalls, OpenCalls, Outcome, RunEnd, RunInput};
use letterhead::tool::{FunctionTool, ToolContext, ToolError};
use letterhead::{Code, Events, Limits, Problem, Registry, RunEvent};
use letterhead_context::{Caller, Headers, RequestContext};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{Nothing, agent, said_in};

const ANSWER: &str = r#"{"role":"assistant","content":null,"tool_calls":[
    {"id":"c0","type":"function","function":{"name":"pay","arguments":"{}"}},
    {"id":"c1","type":"function","function":{"name":"pay","arguments":"{}"}},
    {"id":"c2","type":"function","function":{"name":"handoff_to_b","arguments":"{}"}}]}"#;

/// Says of each call what a test wants; and what it was asked.
#[derive(Debug, Default)]
struct Ledger {
    begun: Mutex<Vec<String>>,
    /// These were begun before.
    known: Vec<&'static str>,
    /// This one cannot be written.
    broken: Option<&'static str>,
    /// How many had been made when the last one was asked for.
    paid: Arc<AtomicU32>,
}

#[async_trait]
impl ApprovedCalls for Ledger {
    async fn begin(&self, approval: &str) -> Result<bool, Problem> {
        assert_eq!(self.paid.load(Ordering::SeqCst), 0, "it is written before");
        self.begun.lock().unwrap().push(approval.to_owned());
        if self.broken == Some(approval) {
            return Err(Problem::new(Code::StoreUnavailable, "the store is away"));
        }
        Ok(!self.known.contains(&approval))
    }
}

/// Runs with both payments approved, and gives the outcome, the events and what was written down.
async fn run(script: &Script, ledger: Ledger) -> (Outcome, Vec<RunEvent>, Vec<String>, u32) {
    run_until(script, ledger, CancellationToken::new()).await
}

async fn run_until(
    script: &Script,
    ledger: Ledger,
    cancelled: CancellationToken,
) -> (Outcome, Vec<RunEvent>, Vec<String>, u32) {
    let paid = Arc::clone(&ledger.paid);
    let count = Arc::clone(&paid);
    let pay = move |_: Nothing, _: ToolContext| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, ToolError>("paid") }
    };
    let pay = FunctionTool::new("pay", "Pays.", pay).unwrap().with_approval();
    let registry = Registry::builder().provider(script.provider()).agent(agent("a").with_tool(pay).with_handoff("b"));
    let registry = registry.agent(agent("b")).build().unwrap();
    let mut open = OpenCalls::find("m", "a", ANSWER, []).unwrap();
    for id in ["m:0", "m:1"] {
        assert!(open.decide(&ApprovalAnswer { id: id.into(), approved: true, reason: None }));
    }
    let ledger = Arc::new(ledger);
    let mut input = RunInput::new([json!({ "role": "user", "content": "Pay" }).to_string().into(), ANSWER.into()]);
    input.open = Some(open);
    input.can_pause = true;
    input.approved = Some(Arc::clone(&ledger) as Arc<dyn ApprovedCalls>);
    let context = RequestContext::builder(Caller::anonymous(), Headers::none()).build("a");
    let (sender, mut received) = mpsc::channel(100);
    let events = Events::to(sender);
    let outcome = registry.run(context, input, Limits::default(), cancelled, events).await;
    let mut events = Vec::new();
    while let Some(event) = received.recv().await {
        events.push(event);
    }
    let begun = ledger.begun.lock().unwrap().clone();
    (outcome, events, begun, paid.load(Ordering::SeqCst))
}

#[tokio::test]
async fn each_is_written_down_and_then_all_are_made() {
    let script = Script::default().on("b", [Answer::text("done")]);
    let (outcome, events, begun, paid) = run(&script, Ledger::default()).await;
    assert_eq!((begun, paid), (vec!["m:0".to_owned(), "m:1".to_owned()], 2));
    assert_eq!(said_in(&outcome), ["tool: paid", "tool: paid", "tool: b has the conversation now.", "assistant: done"]);
    let lasting: Vec<bool> = outcome.messages.iter().map(|message| message.lasting).collect();
    assert_eq!(lasting, [true, true, false, false], "what was decided is not open again, whatever comes");
    assert!(outcome.had_effects && outcome.answered.iter().all(|answered| answered.approved));
    let kinds: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    let position = |what: &str| kinds.iter().position(|kind| kind.starts_with(what)).unwrap();
    assert!(position("ApprovalAnswered") < position("ToolStarted"), "{kinds:#?}");
}

#[tokio::test]
async fn one_that_was_begun_before_is_not_made_again() {
    let script = Script::default().on("b", [Answer::text("done")]);
    let (outcome, _, _, paid) = run(&script, Ledger { known: vec!["m:0"], ..Ledger::default() }).await;
    assert_eq!((outcome.end.clone(), paid), (RunEnd::Complete(letterhead::model::FinishReason::Stop), 1));
    let said = said_in(&outcome);
    assert!(said[0].contains("is not known") && said[1] == "tool: paid", "{said:?}");
    assert!(outcome.messages[0].lasting);
}

#[tokio::test]
async fn one_that_cannot_be_written_stays_open_and_the_other_keeps_its_result() {
    let (outcome, events, _, paid) = run(&Script::default(), Ledger { broken: Some("m:0"), ..Ledger::default() }).await;
    let RunEnd::Failed(problem) = &outcome.end else { panic!("{:?}", outcome.end) };
    assert_eq!((problem.code(), paid), (Code::StoreUnavailable, 1));
    // No handoff while a call is open.
    assert_eq!(said_in(&outcome), ["tool: paid"]);
    assert!(outcome.messages[0].lasting && outcome.messages[0].body.contains("c1"));
    assert_eq!(outcome.answered.len(), 1);
    assert!(!events.iter().any(|event| matches!(event, RunEvent::HandedOver { .. })));
}

/// Whoever approved it may have left at once. That it was interrupted would be said of a call that nobody has begun.
#[tokio::test]
async fn none_is_begun_in_a_run_that_is_cancelled_and_they_wait_on() {
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let (outcome, _, begun, paid) = run_until(&Script::default(), Ledger::default(), cancelled).await;
    assert_eq!((begun.len(), paid), (0, 0));
    assert_eq!(outcome.end, RunEnd::Cancelled);
    assert!(outcome.messages.is_empty() && outcome.answered.is_empty(), "{outcome:?}");
    assert_eq!(outcome.approvals.iter().map(|call| &*call.id).collect::<Vec<_>>(), ["m:0", "m:1"]);
}
