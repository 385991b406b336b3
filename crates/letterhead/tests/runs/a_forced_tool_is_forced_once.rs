//! `tool_choice` holds for the first call of the model alone: else a forced tool is called for ever.

use letterhead::run::{Events, Limits, RunInput};
use letterhead::{Caller, Headers, Registry, RequestContext};
use serde_json::json;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, gives};

#[tokio::test]
async fn it_is_gone_in_the_second_round_after_a_handoff_and_for_children() {
    let ask = json!({"agent": "child", "input": "?"});
    let script = Script::default()
        .on("a", [Answer::calls([("look", json!({})), ("ask_agent", ask)]), Answer::tool("handoff_to_b")])
        .on("child", [Answer::text("yes")])
        .on("b", [Answer::text("done")]);
    let registry = Registry::builder()
        .provider(script.provider())
        .agent(agent("a").with_tool(gives("look", "seen")).with_delegate("child").with_handoff("b"))
        .agent(agent("b"))
        .agent(agent("child"))
        .build()
        .unwrap();
    let mut input = RunInput::new([json!({"role": "user", "content": "Hello"}).to_string().into()]);
    input.tool_choice = Some(RawValue::from_string("\"required\"".to_owned()).unwrap());
    input.client_instructions = vec![json!({"role": "system", "content": "Be brief."}).to_string().into()];
    let context = RequestContext::builder(Caller::anonymous(), Headers::none()).build("a");
    registry.run(context, input, Limits::default(), CancellationToken::new(), Events::none()).await;
    let choices: Vec<_> = script.calls().into_iter().map(|call| (call.model, call.tool_choice)).collect();
    let once = |model: &str, choice: Option<&str>| (model.to_owned(), choice.map(str::to_owned));
    assert_eq!(choices, [once("a", Some("\"required\"")), once("child", None), once("a", None), once("b", None)]);

    let brief = "system: Be brief.";
    let told: Vec<_> = script.calls().iter().map(|call| call.said()[0] == brief).collect();
    assert_eq!(told, [true, false, true, true], "a client's instructions are for the conversation, not for children");
}
