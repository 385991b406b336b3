//! What models really answer: calls without ids or arguments, ids twice, reasons that do not fit.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use letterhead::model::{ChatModel, FinishReason, ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelStream};
use letterhead::{Agent, Code, Provider, ProviderKind, Runner};
use serde_json::{Value, json};

use crate::script::{Answer, Script};
use crate::support::{agent, gives, runner, said};

async fn run(answer: Answer) -> (Script, Result<letterhead::RunResult, letterhead::RunError>) {
    let script = Script::default().on("a", [answer, Answer::text("done")]);
    let result = runner(&script, [agent("a").with_tool(gives("look", "seen"))]).run("Hello").await;
    (script, result)
}

/// A model of the program's own that has a fault: at once, or in the middle of its answer.
struct Broken {
    at_once: bool,
}

#[async_trait]
impl ChatModel for Broken {
    async fn call(&self, _: ModelCall) -> Result<ModelStream, ModelError> {
        assert!(!self.at_once, "canary, on purpose, in a test");
        let said = stream::iter([Ok(ModelEvent::Text("So".to_owned()))]);
        Ok(Box::pin(said.chain(stream::once(async { panic!("canary, on purpose, in a test") }))))
    }
}

#[tokio::test]
async fn a_model_that_panics_fails_its_run_and_no_more() {
    for at_once in [true, false] {
        let script = Script::default().on("a", [ask("b"), Answer::text("done")]);
        let broken = Provider::new("broken", ProviderKind::OpenAi, Arc::new(Broken { at_once }));
        let agents = [agent("a").with_delegate("b"), Agent::new("b").with_model("broken:any")];
        let runner = Runner::with_agents(agents).provider(script.provider()).provider(broken).build().unwrap();
        let error = runner.run("Hello").agent("b").await.unwrap_err();
        assert_eq!(
            (error.problem.code(), error.output.as_str()),
            (Code::UpstreamFailed, if at_once { "" } else { "So" })
        );
        assert!(error.problem.detail().contains("`broken:any`") && !error.to_string().contains("canary"), "{error}");
        let result = runner.run("Hello").await.unwrap();
        assert!(said(&result.messages)[2].starts_with("tool: b failed: "), "{result:?}");
        assert_eq!(result.output, "done");
    }
}

fn ask(agent: &str) -> Answer {
    Answer::calls([("ask_agent", json!({ "agent": agent, "input": "Who?" }))])
}

#[tokio::test]
async fn calls_without_an_id_or_with_one_twice_get_one() {
    let answer = Answer::default()
        .call(0, None, Some("look"), "{}")
        .call(1, Some(""), Some("look"), "{}")
        .call(2, Some("same"), Some("look"), "{}")
        .call(3, Some("same"), Some("look"), "{}");
    let (script, result) = run(answer).await;
    assert_eq!(result.unwrap().output, "done");
    let messages = &script.calls()[1].messages;
    let calls: Vec<Value> =
        messages[1]["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].clone()).collect();
    let results: Vec<Value> = messages[2..].iter().map(|message| message["tool_call_id"].clone()).collect();
    assert_eq!(calls, results, "each result names its call");
    assert_eq!(calls[2], "same");
    let mut different = calls.clone();
    different.sort_by_key(ToString::to_string);
    different.dedup();
    assert_eq!(different.len(), 4, "{calls:?}");
    assert!(calls.iter().all(|id| !id.as_str().unwrap().is_empty()));
}

#[tokio::test]
async fn no_arguments_are_an_empty_object_and_pieces_make_one() {
    let answer = Answer::default()
        .call(0, Some("c0"), Some("look"), "")
        .call(1, Some("c1"), Some("look"), "{")
        .call(0, None, None, " ")
        .call(1, None, None, "}");
    let (script, result) = run(answer).await;
    assert_eq!(said(&result.unwrap().messages)[2..4], ["tool: seen", "tool: seen"]);
    let sent = &script.calls()[1].messages[1]["tool_calls"];
    assert_eq!((&sent[0]["function"]["arguments"], &sent[1]["function"]["arguments"]), (&"{}".into(), &"{}".into()));
}

#[tokio::test]
async fn null_is_no_arguments_either() {
    let (_, result) = run(Answer::default().call(0, Some("c0"), Some("look"), "null")).await;
    assert_eq!(said(&result.unwrap().messages)[2], "tool: seen");
}

#[tokio::test]
async fn a_call_that_names_no_tool_is_a_failure_of_the_provider() {
    for answer in
        [Answer::default().call(0, Some("c"), None, "{}"), Answer::default().call(1, Some("c"), Some("look"), "{}")]
    {
        let (_, result) = run(answer).await;
        assert_eq!(result.unwrap_err().problem.code(), Code::UpstreamFailed);
    }
}

#[tokio::test]
async fn more_calls_than_anybody_needs_are_refused() {
    let (script, result) = run(Answer::default().call(usize::MAX, Some("c"), Some("look"), "{}")).await;
    assert_eq!(result.unwrap_err().problem.code(), Code::UpstreamFailed);
    assert_eq!(script.calls().len(), 1);
}

#[tokio::test]
async fn the_reason_that_is_given_fits_what_came() {
    use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
    for (said, given) in
        [(None, Stop), (Some(ToolCalls), Stop), (Some(Length), Length), (Some(ContentFilter), ContentFilter)]
    {
        let answer = Answer::default().word_by_word("Hello");
        let answer = said.map_or(answer.clone(), |reason| answer.finish(reason));
        assert_eq!(run(answer).await.1.unwrap().finish, Some(given), "{said:?}");
    }
    // Calls are made whatever the reason says.
    let (script, result) = run(Answer::default().call(0, Some("c"), Some("look"), "{}").finish(Stop)).await;
    assert_eq!((result.unwrap().finish, script.calls().len()), (Some(Stop), 2));
}

#[tokio::test]
async fn a_call_that_the_token_limit_cut_off_is_not_made() {
    for arguments in ["", "{", "{\"a\": \""] {
        let answer = Answer::default()
            .call(0, Some("c0"), Some("look"), "{}")
            .call(1, Some("c1"), Some("look"), arguments)
            .finish(FinishReason::Length);
        let (_, result) = run(answer).await;
        let said = said(&result.unwrap().messages);
        assert_eq!(said[2], "tool: seen", "the whole one is");
        assert!(said[3].ends_with("before this call was whole: it was not made."), "{}", said[3]);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_kept_as_far_as_it_came() {
    let (_, result) = run(Answer::default().word_by_word("So far so").fail(ModelErrorKind::BrokeOff)).await;
    let error = result.unwrap_err();
    assert_eq!((error.output.as_str(), error.problem.code()), ("So far so", Code::UpstreamFailed));
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let (_, result) = run(Answer::default()).await;
    let result = result.unwrap();
    assert_eq!((result.output.as_str(), said(&result.messages)[1].as_str()), ("", "assistant: "));
}

#[tokio::test]
async fn what_says_too_much_is_a_failure_of_the_provider() {
    let piece = || "x".repeat(1 << 20);
    let said: [fn(String) -> ModelEvent; 3] = [ModelEvent::Text, ModelEvent::Reasoning, ModelEvent::Refusal];
    let called = |arguments| ModelEvent::ToolCall { index: 0, id: None, name: Some("look".into()), arguments };
    let whole =
        |events: Vec<ModelEvent>| events.into_iter().fold(Answer::default(), Answer::event).finish(FinishReason::Stop);
    for event in said {
        let (_, result) = run(whole((0..8).map(|_| event(piece())).collect())).await;
        assert!(result.is_ok(), "as much as may be: {:?}", result.err());
        let (_, result) = run(whole((0..9).map(|_| event(piece())).collect())).await;
        assert_eq!(result.unwrap_err().problem.code(), Code::UpstreamFailed);
    }
    let (_, result) = run(whole((0..9).map(|_| called(piece())).collect())).await;
    assert_eq!(result.unwrap_err().problem.code(), Code::UpstreamFailed);
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_ends_in_time() {
    let began = tokio::time::Instant::now();
    let (_, result) = run(Answer::default().word_by_word("And then, and then").hang()).await;
    assert_eq!(result.unwrap_err().problem.code(), Code::UpstreamTimeout);
    assert_eq!(began.elapsed().as_secs(), 3600);
}
