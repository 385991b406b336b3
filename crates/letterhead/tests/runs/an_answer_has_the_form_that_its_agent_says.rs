//! An agent with an output schema gives an answer that fits, after one more try if it has to, or none at all.

use letterhead::model::{FinishReason, ModelEvent, OutputSchema};
use letterhead::{Agent, Code, RegistryPlace, RunEvent, RunResult, Runner};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::script::{Answer, Script};
use crate::support::{agent, all, either, gives, runner, said};

const GOOD: &str = r#"{"total": 42, "currency": "EUR"}"#;
const BAD: &str = r#"{"total": "canary-1", "currency": "EUR"}"#;

fn invoice() -> OutputSchema {
    let schema = json!({
        "type": "object", "required": ["total"],
        "properties": { "total": { "type": "number" }, "currency": { "enum": ["EUR", "USD"] } },
    });
    OutputSchema::new("invoice", schema)
}

fn clerk() -> Agent {
    agent("clerk").with_output(invoice())
}

fn texts(events: &[RunEvent]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| if let RunEvent::Text(text) = event { Some(text.as_str()) } else { None })
        .collect()
}

#[tokio::test]
async fn an_answer_that_fits_is_a_value_of_the_programs() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Invoice {
        total: f64,
    }
    for stream in [false, true] {
        let script = Script::default().on("clerk", [Answer::text(GOOD)]);
        let result = either(runner(&script, [clerk()]).run("What do I owe?"), stream).await;
        assert_eq!(result.output_as::<Invoice>().unwrap(), Invoice { total: 42.0 });
        assert_eq!(result.output, GOOD);
        assert_eq!(script.call_of("clerk").output.as_deref(), Some("invoice"), "the model is told of it");
    }
}

#[tokio::test]
async fn one_that_does_not_is_asked_for_once_more_and_is_no_part_of_the_conversation() {
    for stream in [false, true] {
        let script = Script::default().on("clerk", [Answer::text(BAD), Answer::text(GOOD)]);
        let result = either(runner(&script, [clerk()]).run("What do I owe?"), stream).await;
        assert_eq!(result.output_as::<Value>().unwrap()["total"], 42);
        assert_eq!(said(&result.messages), ["user: What do I owe?".to_owned(), format!("assistant: {GOOD}")]);
        assert_eq!((result.usage.input_tokens, result.usage.output_tokens), (20, 10), "both calls have a price");

        let repair = script.calls().pop().unwrap();
        let [_, first, told] = repair.said().try_into().unwrap();
        assert_eq!(first, format!("assistant: {BAD}"));
        assert!(
            told.starts_with("user: ") && told.contains("at `/total`, this value is not of type \"number\""),
            "{told}"
        );
        assert!(!told.contains("canary"), "{told}");
        assert!(told.contains(r#""enum":["EUR","USD"]"#), "with the schema, for models that were not shown it: {told}");
    }
}

#[tokio::test]
async fn a_stream_has_nothing_of_an_answer_that_does_not_fit() {
    let script = Script::default().on("clerk", [Answer::text(BAD), Answer::text(GOOD)]);
    let (events, _) = all(runner(&script, [clerk()]).run("What do I owe?").stream()).await;
    assert_eq!(texts(&events), [GOOD]);
    let calls = events.iter().filter(|event| matches!(event, RunEvent::ModelCallCompleted { .. })).count();
    assert_eq!(calls, 2, "both are told of");
}

#[tokio::test]
async fn after_the_second_the_run_fails_and_says_which_rule_was_broken_and_nothing_of_the_answer() {
    for (second, why) in [(BAD, "`/properties/total/type`"), ("Sorry, canary-1.", "it is not JSON")] {
        let script = Script::default().on("clerk", [Answer::text(BAD), Answer::text(second)]);
        let error = runner(&script, [clerk()]).run("What do I owe?").await.unwrap_err();
        assert_eq!(error.problem.code(), Code::UpstreamFailed);
        assert_eq!(error.problem.should_retry(), Some(false), "it has been asked again already");
        let detail = error.problem.detail();
        assert!(detail.contains("`clerk`") && detail.contains(why) && !detail.contains("canary"), "{detail}");
        assert_eq!((error.output.as_str(), script.calls().len()), ("", 2));
    }
}

#[tokio::test]
async fn what_was_cut_off_is_not_asked_for_again_and_what_is_whole_in_spite_of_it_is_taken() {
    let cut = |text: &str| Answer::default().word_by_word(text).finish(FinishReason::Length);
    let script = Script::default().on("clerk", [cut(r#"{"total": 4"#)]);
    let error = runner(&script, [clerk()]).run("Hi").await.unwrap_err();
    assert!(error.problem.detail().contains("`max_tokens`"), "{}", error.problem.detail());
    assert_eq!(script.calls().len(), 1);

    let script = Script::default().on("clerk", [cut(GOOD)]);
    let result = runner(&script, [clerk()]).run("Hi").await.unwrap();
    assert_eq!((result.output.as_str(), result.finish), (GOOD, Some(FinishReason::Length)));
}

#[tokio::test]
async fn a_refusal_is_no_answer_and_is_not_checked() {
    let refusal = Answer::default().event(ModelEvent::Refusal("I will not.".into())).finish(FinishReason::Stop);
    let script = Script::default().on("clerk", [refusal]);
    let (events, result) = all(runner(&script, [clerk()]).run("Hi").stream()).await;
    assert!(events.contains(&RunEvent::Refusal("I will not.".into())));
    assert!(result.output.is_empty() && result.output_as::<Value>().is_err());
    assert_eq!(result.refusal, "I will not.");
    let kept = serde_json::to_value(&result).unwrap();
    assert_eq!(serde_json::from_value::<RunResult>(kept).unwrap(), result);
    assert_eq!(script.calls().len(), 1);
}

#[tokio::test]
async fn tools_are_called_before_and_after_and_words_beside_a_call_are_no_answer() {
    let looks = || {
        Answer::default()
            .word_by_word("Let me see.")
            .call(0, Some("call_0"), Some("look"), "{}")
            .finish(FinishReason::ToolCalls)
    };
    let script = Script::default().on("clerk", [looks(), Answer::text("Done!"), looks(), Answer::text(GOOD)]);
    let agent = clerk().with_tool(gives("look", "42 EUR"));
    let (events, result) = all(runner(&script, [agent]).run("Hi").stream()).await;
    assert_eq!(texts(&events), [GOOD]);
    assert_eq!(result.output, GOOD);
    assert_eq!(said(&result.messages).len(), 6, "{:?}", said(&result.messages));
}

#[tokio::test]
async fn the_second_try_counts_as_any_call_does() {
    let script = Script::default().on("clerk", [Answer::text(BAD)]);
    let error = runner(&script, [clerk()]).run("Hi").max_turns(1).await.unwrap_err();
    assert_eq!((error.problem.code(), error.output.as_str()), (Code::MaxTurnsExceeded, ""));
}

#[tokio::test]
async fn a_handoff_leaves_the_form_behind_and_each_time_there_is_a_second_try() {
    let script = Script::default()
        .on("clerk", [Answer::text(BAD), Answer::tool("handoff_to_chatter"), Answer::text(BAD), Answer::text(GOOD)])
        .on("chatter", [Answer::tool("handoff_to_clerk")]);
    let agents = [clerk().with_handoff("chatter"), agent("chatter").with_handoff("clerk")];
    let result = runner(&script, agents.clone()).run("Hi").await.unwrap();
    assert_eq!((&*result.current_agent, result.output.as_str()), ("clerk", GOOD));
    assert_eq!(script.call_of("chatter").output, None);

    let script =
        Script::default().on("clerk", [Answer::tool("handoff_to_chatter")]).on("chatter", [Answer::text("Hello!")]);
    let (events, result) = all(runner(&script, agents).run("Hi").stream()).await;
    assert_eq!((texts(&events), result.output.as_str()), (vec!["Hello!"], "Hello!"), "unchecked");
}

#[tokio::test]
async fn an_agent_that_asks_gets_the_json_or_hears_that_there_is_none() {
    let ask = || Answer::calls([("ask_agent", json!({ "agent": "clerk", "input": "How much?" }))]);
    let script = Script::default()
        .on("front", [ask(), Answer::text("42."), ask(), Answer::text("I do not know.")])
        .on("clerk", [Answer::text(GOOD), Answer::text(BAD), Answer::text(BAD)]);
    let runner = runner(&script, [agent("front").with_delegate("clerk"), clerk()]);
    let result = runner.run("Hi").await.unwrap();
    assert_eq!(said(&result.messages)[2], format!("tool: {GOOD}"));
    let (events, result) = all(runner.run("Hi").stream()).await;
    let told = &said(&result.messages)[2];
    assert!(
        told.contains("clerk failed") && told.contains("`/properties/total/type`") && !told.contains("canary"),
        "{told}"
    );
    let shown =
        |event: &RunEvent| matches!(event, RunEvent::Child { event, .. } if matches!(**event, RunEvent::Text(_)));
    assert!(!events.iter().any(shown));
}

#[test]
fn a_schema_that_is_none_is_found_when_agents_are_built() {
    let faulty =
        Agent::new("a").with_output(OutputSchema::new("a", json!({ "properties": { "x": { "type": "text" } } })));
    let error = Runner::with_agents([faulty]).build().unwrap_err();
    assert_eq!(error.0[0].place, RegistryPlace::Output("a".into(), "/properties/x/type".into()));
    assert!(error.to_string().starts_with("agent `a`: this is no JSON Schema"), "{error}");
}
