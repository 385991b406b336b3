//! `max_turns` bounds every model call of a run; usage is the sum of all.

use letterhead::Code;
use letterhead::model::ModelErrorKind;
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, gives, runner};

#[tokio::test]
async fn a_tool_round_is_a_turn_like_any_other() {
    for limit in [1, 2, 5] {
        let round = Answer::default().word_by_word("Looking again.").call(0, Some("c"), Some("look"), "{}");
        let script = Script::default().on("a", vec![round; 9]);
        let runner = runner(&script, [agent("a").with_tool(gives("look", "nothing"))]);
        let error = runner.run("Hello").max_turns(limit).await.unwrap_err();
        assert_eq!(error.problem.code(), Code::MaxTurnsExceeded);
        assert_eq!(error.problem.status(), 422);
        assert_eq!(error.problem.should_retry(), Some(false));
        assert_eq!(error.output, "Looking again.", "what was said so far");
        assert_eq!(script.calls().len(), usize::try_from(limit).unwrap());
    }
}

#[tokio::test]
async fn an_answer_in_the_last_turn_is_an_answer() {
    let script = Script::default().on("a", [Answer::tool("look"), Answer::text("done")]);
    let runner = runner(&script, [agent("a").with_tool(gives("look", "seen"))]);
    assert_eq!(runner.run("Hello").max_turns(2).await.unwrap().output, "done");
}

#[tokio::test]
async fn usage_adds_up_over_rounds_handoffs_and_children() {
    let usage = |answer: Answer, input| answer.usage(input, 1);
    let ask = Answer::calls([("ask_agent", json!({"agent": "child", "input": "?"}))]);
    let script = Script::default()
        .on("a", [usage(Answer::tool("look"), 1), usage(ask, 20), usage(Answer::tool("handoff_to_b"), 300)])
        .on("child", [usage(Answer::text("yes"), 4000)])
        .on("b", [usage(Answer::text("done"), 50000)]);
    let a = agent("a").with_tool(gives("look", "seen")).with_delegate("child").with_handoff("b");
    let result = runner(&script, [a, agent("b"), agent("child")]).run("Hello").await.unwrap();
    // The last word of a provider on one answer counts; the answers add up.
    assert_eq!((result.usage.input_tokens, result.usage.output_tokens), (54321, 5));
}

#[tokio::test]
async fn a_failed_run_after_a_tool_with_effects_asks_nobody_to_repeat_it() {
    for effects in [true, false] {
        let broken = Answer::default().fail(ModelErrorKind::Unavailable { retry_after: None });
        let script = Script::default().on("a", [Answer::tool("look"), broken]);
        let tool = letterhead::tool::FunctionTool::new("look", "Looks.", |_: crate::support::Nothing, _| async {
            Ok::<_, letterhead::tool::ToolError>(())
        })
        .unwrap();
        let tool = if effects { tool } else { tool.without_effects() };
        let error = runner(&script, [agent("a").with_tool(tool)]).run("Hello").await.unwrap_err();
        assert_eq!(error.problem.should_retry(), effects.then_some(false));
    }
}

#[tokio::test]
async fn what_a_failed_run_has_cost_and_sent_is_accounted_for() {
    let script = Script::default().on("a", [Answer::tool("look"), Answer::default().fail(ModelErrorKind::Failed)]);
    let a = agent("a").with_tool(gives("look", "seen")).with_header("X-Team", "desk");
    let error = runner(&script, [a]).run("Hello").await.unwrap_err();
    assert_eq!(error.usage.total_tokens(), 15);
    assert_eq!(error.trail.iter().map(|entry| (&*entry.header, entry.sent)).collect::<Vec<_>>(), [("X-Team", true)]);
}
