//! What a model is sent of a long conversation, and how it looks up what it was not sent.

use std::fmt;
use std::sync::{Arc, Mutex};

use letterhead::model::ToolSpec;
use letterhead::run::RunInput;
use letterhead::{Agent, Caller, Code, Events, Headers, Limits, Registry, RequestContext, RunResult, Runner};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::field::Field;
use tracing::{Event, Metadata, span};

use crate::script::{Answer, Script};
use crate::support::{agent, gives};

fn bounded(script: &Script, agents: impl IntoIterator<Item = Agent>) -> Runner {
    Runner::with_agents(agents).provider(script.provider()).max_history_tokens(1_000).build().unwrap()
}

/// A long answer, with something to find in its middle.
fn long(hidden: &str) -> String {
    format!("The report. {}{hidden}{} The end of it.", "Figures. ".repeat(200), "More figures. ".repeat(200))
}

/// Calls of the tool `lookup`.
fn look(key: &str) -> Answer {
    Answer::calls([("lookup", json!({ "key": key }))])
}

/// A conversation in which a long answer was given.
async fn with_a_report(runner: &Runner) -> RunResult {
    runner.run("Give me the report.").await.unwrap()
}

#[tokio::test]
async fn the_middle_of_a_long_answer_is_found_again_by_its_key() {
    let text = long("It is 7,341.");
    let script =
        Script::default().on("a", [Answer::text(&text), look("#2"), look("#2@3000"), Answer::text("It is 7,341.")]);
    let runner = bounded(&script, [agent("a").with_tool(gives("other", "x"))]);
    let first = with_a_report(&runner).await;
    let result = runner.run("What was the figure?").previous(&first).await.unwrap();

    let calls = script.calls();
    assert_eq!(calls[0].tools, ["other"], "nothing is missing yet");
    assert_eq!(calls[1].tools, ["other", "lookup"]);
    let told = &calls[1].said()[1];
    assert!(told.starts_with("assistant: The report.") && told.ends_with("The end of it."), "{told}");
    assert!(told.contains("lookup(\"#2\")") && !told.contains("7,341"), "{told}");
    // A part at a time, so that the answer itself is not too long.
    let shown = calls[2].said().pop().unwrap();
    assert!(shown.starts_with("tool: The report. Figures. ") && shown.len() < 700, "{shown}");
    assert!(shown.contains("characters more; lookup(\"#2@"), "{shown}");
    assert_eq!(result.output, "It is 7,341.");
    // The conversation that is kept has all of it.
    assert!(result.messages[1].contains("7,341") && result.messages.starts_with(&first.messages));
}

/// Keeps the fields of what is logged of histories.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Logged {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "letterhead::history"
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = String::new();
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| fields += &format!("{field}={value:?} "));
        self.0.lock().unwrap().push(fields);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn the_log_is_told_once_a_run_by_counts_and_no_words() {
    let text = long("c4nary");
    let script = Script::default().on("a", [Answer::text(&text), Answer::tool("other"), Answer::text("Well.")]);
    let runner = bounded(&script, [agent("a").with_tool(gives("other", "x"))]);
    let logged = Logged::default();
    let _guard = tracing::subscriber::set_default(logged.clone());
    let first = with_a_report(&runner).await;
    assert!(logged.0.lock().unwrap().is_empty(), "nothing was left out yet");
    runner.run("And now?").previous(&first).await.unwrap();
    let told = logged.0.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "two model calls, one run: {told:?}");
    for part in ["agent=\"a\"", "messages=5", "left_out=0", "shortened=1", "tokens=", "max_tokens=1000"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
    assert!(!told[0].contains("c4nary") && !told[0].contains("Figures"), "{told:?}");
}

#[tokio::test]
async fn what_was_sent_before_is_the_beginning_of_what_is_sent_next() {
    let mut script = Script::default().on("a", [Answer::text(&long("x"))]);
    for _ in 0..6 {
        script = script.on("a", [Answer::tool("other"), Answer::text("Well.")]);
    }
    let runner = bounded(&script, [agent("a").with_tool(gives("other", "Some result."))]);
    let mut result = with_a_report(&runner).await;
    for _ in 0..6 {
        result = runner.run("And then?").previous(&result).await.unwrap();
    }
    let calls = script.calls();
    for two in calls[1..].windows(2) {
        assert!(two[1].messages.starts_with(&two[0].messages), "{:?}\n{:?}", two[0].said(), two[1].said());
        assert_eq!(two[0].tools, two[1].tools, "providers read the tools before the messages");
    }
}

#[tokio::test]
async fn results_of_the_running_turn_are_shortened_too_but_never_the_question() {
    let question = format!("Compare all of them. {}", "Carefully. ".repeat(150));
    let script = Script::default().on(
        "a",
        [
            Answer::calls([("page", json!({})), ("page", json!({}))]),
            Answer::tool("page"),
            Answer::tool("page"),
            Answer::text("Compared."),
        ],
    );
    let page = gives("page", &long("x"));
    bounded(&script, [agent("a").with_tool(page)]).run(&*question).await.unwrap();
    for call in script.calls() {
        let said = call.said();
        assert_eq!(said[0], format!("user: {question}"));
        let shortened = |said: &&String| said.contains("left out here");
        let results: Vec<&String> = said.iter().filter(|said| said.starts_with("tool: ")).collect();
        assert!(results.last().is_none_or(|last| !shortened(last)), "the last result is whole");
        assert!(results.iter().rev().skip(2).all(shortened), "{said:?}");
    }
}

#[tokio::test]
async fn a_key_is_of_this_conversation_alone() {
    let script = Script::default()
        .on("a", [Answer::text(&long("canary-of-one")), Answer::text(&long("of the other"))])
        .on("a", [look("#2"), look("#2@2000"), look("#1-9"), look("#1-2"), Answer::text("Nothing.")]);
    let runner = bounded(&script, [agent("a")]);
    with_a_report(&runner).await;
    let other = with_a_report(&runner).await;
    let result = runner.run("What does the other one have?").previous(&other).await.unwrap();
    assert!(!format!("{:?}", result.messages).contains("canary"));
    let last = script.calls().pop().unwrap();
    assert!(!format!("{:?}", last.messages).contains("canary"));
    assert!(last.said().iter().any(|said| said.contains("This conversation has no #1-9")), "{:?}", last.said());
}

#[tokio::test]
async fn wrong_arguments_and_keys_are_told_to_the_model() {
    let calls = [json!({}), json!({"key": 7}), json!({"key": "#2", "session": "s-1"}), json!({"key": "policies"})];
    let calls = calls.map(|arguments| Answer::calls([("lookup", arguments)]));
    let script = Script::default().on("a", [Answer::text(&long("x"))]).on("a", calls).on("a", [Answer::text("Done.")]);
    let runner = bounded(&script, [agent("a")]);
    let first = with_a_report(&runner).await;
    runner.run("Look it up.").previous(&first).await.unwrap();
    let said = script.calls().pop().unwrap().said();
    let told: Vec<&String> = said.iter().filter(|said| said.starts_with("tool: ")).collect();
    assert_eq!(told.len(), 4);
    assert!(told[..3].iter().all(|told| told.contains("The arguments must be {\"key\": …}")), "{told:?}");
    assert!(told[3].contains("nothing under this key"), "{told:?}");
}

#[tokio::test]
async fn a_delegate_that_sees_the_conversation_is_sent_it_shortened() {
    let ask = Answer::calls([("ask_agent", json!({"agent": "b", "input": "Check it."}))]);
    let script = Script::default()
        .on("a", [Answer::text(&long("It is 7,341.")), ask, Answer::text("Checked.")])
        .on("b", [look("#2@1800"), Answer::text("It is right.")]);
    let first = agent("a").with_delegate(letterhead::Delegate::new("b").with_history());
    let runner = bounded(&script, [first, agent("b")]);
    let report = with_a_report(&runner).await;
    runner.run("Have it checked.").previous(&report).await.unwrap();
    let calls = script.calls_of("b");
    assert!(calls[0].said()[1].contains("left out here") && !calls[0].said()[1].contains("7,341"));
    assert_eq!(calls[0].tools, ["lookup"]);
    assert!(calls[1].said().pop().unwrap().contains("7,341"));
}

#[tokio::test]
async fn without_a_bound_everything_is_sent() {
    let script = Script::default().on("a", [Answer::text(&long("x")), look("#2"), Answer::text("Done.")]);
    let runner = Runner::with_agents([agent("a")]).provider(script.provider()).build().unwrap();
    let first = with_a_report(&runner).await;
    runner.run("Look it up.").previous(&first).await.unwrap();
    let calls = script.calls();
    assert!(calls.iter().all(|call| call.tools.is_empty()));
    assert_eq!(calls[1].said()[1], format!("assistant: {}", long("x")));
    assert!(calls[2].said().pop().unwrap().contains("There is no tool of this name"));
}

#[tokio::test]
async fn nobody_else_has_a_tool_of_that_name_then() {
    let own = agent("a").with_tool(gives("lookup", "x"));
    let script = Script::default();
    let faults = Runner::with_agents([own.clone()]).provider(script.provider()).max_history_tokens(1_000).build();
    assert!(faults.unwrap_err().to_string().contains("a tool cannot be called `lookup`"));
    Runner::with_agents([own]).provider(script.provider()).build().unwrap();
    let faults = Runner::with_agents([agent("a")]).provider(script.provider()).max_history_tokens(999).build();
    assert!(faults.unwrap_err().to_string().contains("fewer than 1000 tokens"));

    let registry = Registry::builder().agent(agent("a")).provider(script.provider());
    let registry = registry.max_history_tokens(1_000).build().unwrap();
    let tool = ToolSpec::new("lookup", None, json!({"type": "object"})).unwrap();
    let message = json!({"role": "user", "content": "Hello"}).to_string().into();
    let mut input = RunInput::new([message]);
    input.client_tools = vec![Arc::new(tool)];
    let caller = Caller::anonymous();
    let context = RequestContext::builder(caller, Headers::none()).build("a");
    let outcome = registry.run(context, input, Limits::default(), CancellationToken::new(), Events::none()).await;
    let letterhead::run::RunEnd::Failed(problem) = outcome.end else { panic!("{:?}", outcome.end) };
    assert_eq!(problem.code(), Code::InvalidBody);
}
