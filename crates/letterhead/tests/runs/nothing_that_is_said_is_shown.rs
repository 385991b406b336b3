//! `Debug` of what a run starts from, tells and gives shows names and lengths, and no word of what was said.

use std::sync::Arc;

use letterhead::model::sse::Parser;
use letterhead::model::{ModelErrorKind, ModelEvent};
use letterhead::run::{Events, Limits, OpenCalls, RunInput};
use letterhead::{Caller, FunctionTool, Headers, Registry, RequestContext, ToolError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, all, gives, runner};

const CANARY: &str = "canary";

fn clean(shown: &str) {
    assert!(!shown.contains(CANARY), "{shown}");
}

#[tokio::test]
async fn neither_by_events_nor_by_results() {
    let calls = Answer::calls([
        ("look", json!({ "for": CANARY })),
        ("ask_agent", json!({ "agent": "b", "input": CANARY })),
        ("client_tool", json!({ "about": CANARY })),
    ]);
    let script = Script::default().on("a", [calls, Answer::text(CANARY)]).on("b", [Answer::text(CANARY)]);
    let a = agent("a").with_tool(gives("look", CANARY)).with_delegate("b");
    let runner = runner(&script, [a, agent("b")]);
    clean(&format!("{:?}", runner.run(CANARY)));
    let (events, result) = all(runner.run(CANARY).stream()).await;
    assert!(events.len() > 10);
    for event in &events {
        clean(&format!("{event:?}"));
    }
    clean(&format!("{result:?}"));
    assert!(format!("{result:?}").contains("output: 6 bytes"), "its length is: {result:?}");
    clean(&format!("{:?}", runner.run("More").previous(&result)));
}

#[tokio::test]
async fn nor_by_calls_that_wait_for_approval() {
    let tool = FunctionTool::new("tell", "Tells.", |_: Value, _| async { Ok::<_, ToolError>(()) }).unwrap();
    let script = Script::default().on("a", [Answer::calls([("tell", json!({ "whom": CANARY }))])]);
    let waiting = runner(&script, [agent("a").with_tool(tool.with_approval())]).run("Hello").await.unwrap();
    assert!(waiting.approvals[0].arguments.contains(CANARY));
    clean(&format!("{waiting:?} {:?}", waiting.approvals));
    clean(&format!("{:?}", waiting.approvals[0].refuse(CANARY)));
    let open = OpenCalls::find("msg_1", "a", &waiting.messages[1], []).unwrap();
    assert_eq!(open.calls().count(), 1);
    clean(&format!("{open:?}"));
}

#[test]
fn nor_by_what_a_model_says() {
    let said = CANARY.to_owned();
    let call = ModelEvent::ToolCall { index: 0, id: None, name: None, arguments: said.clone() };
    let pieces = [ModelEvent::Text(said.clone()), ModelEvent::Reasoning(said.clone()), ModelEvent::Refusal(said), call];
    for piece in pieces {
        clean(&format!("{piece:?}"));
    }
    let mut parser = Parser::default();
    let mut shown = String::new();
    parser
        .feed(format!("data: {CANARY}\n\ndata: {CANARY}\n{CANARY}").as_bytes(), |event| {
            assert_eq!(event.data, CANARY);
            shown = format!("{event:?}");
        })
        .unwrap();
    clean(&format!("{shown} {parser:?}"));
    assert!(shown.contains("data_bytes: 6"), "{shown}");
}

#[tokio::test]
async fn neither_by_inputs_and_outcomes_nor_by_errors() {
    let spoken = Answer::default().word_by_word(CANARY).fail(ModelErrorKind::Failed);
    let script = Script::default().on("a", [spoken.clone(), spoken]);
    let registry = Registry::builder().provider(script.provider()).agent(agent("a")).build().unwrap();
    let message: Arc<str> = json!({ "role": "user", "content": CANARY }).to_string().into();
    let mut params = serde_json::Map::new();
    params.insert("user".to_owned(), CANARY.into());
    let mut input = RunInput::new([Arc::clone(&message)]);
    input.client_instructions = vec![message];
    input.params = params;
    clean(&format!("{input:?}"));
    let context = RequestContext::builder(Caller::anonymous(), Headers::none()).build("a");
    let outcome = registry.run(context, input, Limits::default(), CancellationToken::new(), Events::none()).await;
    assert_eq!(outcome.output, CANARY);
    clean(&format!("{outcome:?}"));
    let error = runner(&script, [agent("a")]).run("Hello").await.unwrap_err();
    assert_eq!(error.output, CANARY);
    clean(&format!("{error:?} {error}"));
}
