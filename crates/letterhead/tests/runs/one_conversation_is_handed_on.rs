//! A handoff gives the whole conversation to another agent, which keeps it.

use letterhead::{HeaderSchema, Runner};
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, gives, runner, said};

#[tokio::test]
async fn the_target_sees_everything_that_was_said() {
    let script = Script::default()
        .on("a", [Answer::text("").word_by_word("Wait."), Answer::tool("handoff_to_b")])
        .on("b", [Answer::text("I am b."), Answer::text("Still b.")]);
    let runner = runner(&script, [agent("a").with_handoff("b"), agent("b").with_description("Knows all.")]);
    let first = runner.run("One").await.unwrap();
    let second = runner.run("Two").previous(&first).await.unwrap();
    assert_eq!((second.output.as_str(), &*second.current_agent), ("I am b.", "b"));
    let told = ["user: One", "assistant: Wait.", "user: Two", "assistant: ", "tool: b has the conversation now."];
    assert_eq!(script.call_of("b").said(), told);

    let third = runner.run("Three").previous(&second).await.unwrap();
    assert_eq!((third.output.as_str(), &*third.current_agent), ("Still b.", "b"));
}

#[tokio::test]
async fn of_several_in_one_answer_the_first_wins_and_other_tools_run_first() {
    let script = Script::default()
        .on("a", [Answer::calls(["handoff_to_b", "look", "handoff_to_c"].map(|name| (name, json!({}))))])
        .on("b", [Answer::text("b")]);
    let a = agent("a").with_tool(gives("look", "seen")).with_handoff("b").with_handoff("c");
    let result = runner(&script, [a, agent("b"), agent("c")]).run("Hello").await.unwrap();
    assert_eq!(&*result.current_agent, "b");
    assert_eq!(
        said(&result.messages),
        [
            "user: Hello",
            "assistant: <handoff_to_b><look><handoff_to_c>",
            "tool: b has the conversation now.",
            "tool: seen",
            "tool: The conversation was handed over already, to b, which was named first.",
            "assistant: b",
        ]
    );
    assert!(script.calls_of("c").is_empty());
}

#[tokio::test]
async fn agents_that_hand_over_in_a_circle_come_to_an_end() {
    let script =
        Script::default().on("a", vec![Answer::tool("handoff_to_b"); 9]).on("b", vec![Answer::tool("handoff_to_a"); 9]);
    let runner = runner(&script, [agent("a").with_handoff("b"), agent("b").with_handoff("a")]);
    let error = runner.run("Hello").max_turns(7).await.unwrap_err();
    assert_eq!(error.problem.code(), letterhead::Code::MaxTurnsExceeded);
    assert_eq!(script.calls().len(), 7);
}

#[tokio::test]
async fn an_agent_whose_required_header_is_missing_cannot_take_over_or_start() {
    let schema = HeaderSchema::compile(&json!({"properties": {"account": {"type": "string"}}})).unwrap();
    let script = Script::default()
        .on("a", [Answer::tool("handoff_to_b"), Answer::text("a goes on"), Answer::tool("handoff_to_b")])
        .on("b", [Answer::text("b")]);
    let agents = [agent("a").with_handoff("b"), agent("b").with_required_header("account")];
    let runner = Runner::with_agents(agents).provider(script.provider()).headers(schema).build().unwrap();

    let result = runner.run("Hello").await.unwrap();
    assert_eq!((result.output.as_str(), &*result.current_agent), ("a goes on", "a"));
    assert_eq!(
        said(&result.messages)[2],
        "tool: b cannot take over: it needs the header `account`, which was not sent."
    );

    let result = runner.run("Hello").context_header("account", "7").await.unwrap();
    assert_eq!(&*result.current_agent, "b");

    let calls = script.calls().len();
    let error = runner.run("Again").previous(&result).await.unwrap_err();
    assert_eq!((error.problem.code(), error.problem.param()), (letterhead::Code::MissingHeader, Some("account")));
    assert_eq!(script.calls().len(), calls, "before any call");
}
