//! The client's own tools beside the agent's: a call to one ends the run, and nobody else runs it.

use std::sync::Arc;

use letterhead::model::{FinishReason, ToolSpec};
use letterhead::run::{Events, Limits, Outcome, RunEnd, RunEvent, RunInput};
use letterhead::{Caller, Code, Headers, Place, Registry, RequestContext};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, gives, said_in};

fn spec(name: &str) -> Arc<ToolSpec> {
    Arc::new(ToolSpec::new(name, None, json!({"type": "object"})).unwrap())
}

async fn run(registry: &Registry, agent: &str, client_tools: &[&str]) -> (Outcome, Vec<RunEvent>) {
    let context = RequestContext::builder(Caller::anonymous(), Headers::none()).build(agent);
    let mut input = RunInput::new([json!({"role": "user", "content": "Hello"}).to_string().into()]);
    input.client_tools = client_tools.iter().map(|name| spec(name)).collect();
    input.stream = true;
    let (sender, mut receiver) = mpsc::channel(100);
    let outcome = registry.run(context, input, Limits::default(), CancellationToken::new(), Events::to(sender)).await;
    let mut events = Vec::new();
    while let Some(event) = receiver.recv().await {
        events.push(event);
    }
    (outcome, events)
}

fn registry(script: &Script) -> Registry {
    Registry::builder()
        .provider(script.provider())
        .agent(agent("a").with_tool(gives("own", "mine")).with_handoff("b").with_delegate("c"))
        .agent(agent("b").with_handoff("d"))
        .agent(agent("c").with_tool(gives("asked_only", "")))
        .agent(agent("d").with_tool(gives("far_away", "")))
        .build()
        .unwrap()
}

#[tokio::test]
async fn its_own_and_unknown_tools_in_one_answer_are_told_apart() {
    let names = ["theirs", "own", "nobodys", "theirs"];
    let script = Script::default().on("a", [Answer::calls(names.map(|name| (name, json!({"x": 1}))))]);
    let (outcome, events) = run(&registry(&script), "a", &["theirs"]).await;
    assert_eq!(outcome.end, RunEnd::Complete(FinishReason::ToolCalls));
    assert_eq!(
        said_in(&outcome),
        [
            "assistant: <theirs><own><nobodys><theirs>",
            "tool: mine",
            "tool: There is no tool of this name. There are: own, handoff_to_b, ask_agent, theirs",
        ]
    );
    let calls: Vec<_> =
        outcome.client_calls.iter().map(|(id, name, arguments)| (&**id, &**name, &**arguments)).collect();
    assert_eq!(calls, [("call_0", "theirs", r#"{"x":1}"#), ("call_3", "theirs", r#"{"x":1}"#)]);
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::ClientToolCall { index, id, .. } => Some((*index, &**id)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(0, "call_0"), (1, "call_3")]);
    assert_eq!(script.calls().len(), 1, "the client has to go on");
    assert_eq!(script.calls()[0].tools, ["own", "handoff_to_b", "ask_agent", "theirs"]);
}

#[tokio::test]
async fn a_handoff_beside_it_holds_for_the_next_request() {
    let script = Script::default().on("a", [Answer::calls(["theirs", "handoff_to_b"].map(|name| (name, json!({}))))]);
    let (outcome, _) = run(&registry(&script), "a", &["theirs"]).await;
    assert_eq!((&*outcome.agent, outcome.client_calls.len()), ("b", 1));
}

#[tokio::test]
async fn a_name_that_both_have_is_refused_before_any_call() {
    let script = Script::default();
    let registry = registry(&script);
    for (tools, at) in [
        (&["own"][..], vec![0]),
        (&["theirs", "handoff_to_b", "ask_agent"], vec![1, 2]),
        (&["theirs", "theirs"], vec![1]),
        // An agent that may take the conversation over, however late.
        (&["handoff_to_d"], vec![0]),
        (&["far_away"], vec![0]),
    ] {
        let (outcome, events) = run(&registry, "a", tools).await;
        let RunEnd::Failed(problem) = &outcome.end else { panic!("{tools:?}: {:?}", outcome.end) };
        assert_eq!(problem.code(), Code::InvalidBody);
        let places: Vec<_> = problem.errors().iter().map(|fault| fault.place.clone()).collect();
        let expected: Vec<_> = at.iter().map(|at| Place::Pointer(format!("/tools/{at}/function/name"))).collect();
        assert_eq!(places, expected, "{tools:?}");
        assert_eq!((events.len(), &*outcome.model), (0, ""), "{tools:?}");
    }
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn the_tools_of_children_are_their_own_affair() {
    let ask = json!({"agent": "c", "input": "?"});
    let script = Script::default()
        .on("a", [Answer::calls([("ask_agent", ask)]), Answer::text("done")])
        .on("c", [Answer::tool("asked_only"), Answer::text("yes")]);
    let (outcome, _) = run(&registry(&script), "a", &["asked_only", "theirs"]).await;
    assert_eq!(outcome.end, RunEnd::Complete(FinishReason::Stop));
    assert_eq!(script.calls_of("c")[0].tools, ["asked_only"], "a child is not offered the client's");
}

#[tokio::test]
async fn a_call_that_was_cut_off_says_so() {
    let answer = Answer::default().call(0, Some("c"), Some("theirs"), "{\"x").finish(FinishReason::Length);
    let script = Script::default().on("a", [answer]);
    let (outcome, _) = run(&registry(&script), "a", &["theirs"]).await;
    assert_eq!(outcome.end, RunEnd::Complete(FinishReason::Length));
    assert_eq!(outcome.client_calls.len(), 1);
}
