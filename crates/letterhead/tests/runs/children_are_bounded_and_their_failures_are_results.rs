//! Depth, number and failures of children.

use letterhead::model::ModelErrorKind;
use letterhead::{HeaderSchema, Limits, Runner};
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, runner, said, tool};

fn ask(agent: &str) -> Answer {
    Answer::calls([("ask_agent", json!({"agent": agent, "input": "?"}))])
}

#[tokio::test]
async fn agents_ask_agents_four_deep() {
    let script = Script::default()
        .on("a", [ask("b"), ask("b"), ask("b"), Answer::text("a2"), Answer::text("a1"), Answer::text("a0")])
        .on("b", [ask("a"), ask("a"), Answer::text("b2"), Answer::text("b1")]);
    let runner = runner(&script, [agent("a").with_delegate("b"), agent("b").with_delegate("a")]);
    let result = runner.run("Hello").await.unwrap();
    // a → b → a → b → a: the fourth level may not ask any more.
    let deepest = script.calls_of("a")[3].said();
    assert_eq!(deepest[2], "tool: No further agent can be asked: agents have asked agents too deep already.");
    assert_eq!(result.output, "a0");
    assert_eq!(script.calls().len(), 10);
}

#[tokio::test]
async fn a_turn_has_so_many_runs_and_no_more() {
    let script = Script::default()
        .on("a", [Answer::calls(vec![("ask_agent", json!({"agent": "b", "input": "?"})); 40]), Answer::text("done")])
        .on("b", vec![Answer::text("yes"); 40]);
    let result = runner(&script, [agent("a").with_delegate("b"), agent("b")]).run("Hello").await.unwrap();
    assert_eq!(script.calls_of("b").len(), 31, "32 with the turn's own");
    let refused = result.messages.iter().filter(|message| message.contains("too many have been")).count();
    assert_eq!(refused, 9);
    assert_eq!(result.usage.input_tokens, 10 * (2 + 31));
}

#[tokio::test]
async fn the_failure_of_a_child_is_a_result_and_what_it_cost_counts() {
    let broken = Answer::default().word_by_word("So far").usage(100, 1).fail(ModelErrorKind::Timeout);
    let script = Script::default().on("a", [ask("b"), Answer::text("done")]).on("b", [broken]);
    let result = runner(&script, [agent("a").with_delegate("b"), agent("b")]).run("Hello").await.unwrap();
    assert_eq!(result.output, "done");
    assert_eq!(said(&result.messages)[2], "tool: b failed: the provider failed as it was told");
    assert_eq!((result.usage.input_tokens, result.usage.output_tokens), (120, 11));
}

#[tokio::test]
async fn a_child_that_does_not_end_is_a_failed_call() {
    let script = Script::default().on("a", [ask("b"), Answer::text("done")]).on("b", vec![Answer::tool("look"); 9]);
    let b = agent("b").with_tool(tool("look", |_| async { Ok("again".into()) }));
    let mut limits = Limits::default();
    limits.max_turns = 3;
    let runner = Runner::with_agents([agent("a").with_delegate("b"), b]).provider(script.provider()).limits(limits);
    let result = runner.build().unwrap().run("Hello").await.unwrap();
    assert!(said(&result.messages)[2].starts_with("tool: b failed: the run made 3 model calls"), "{result:?}");
    assert_eq!(script.calls_of("b").len(), 3);
}

#[tokio::test]
async fn a_child_whose_required_header_or_credential_is_missing_is_a_failed_call() {
    let schema = json!({"properties": {"account": {"type": "string"}, "key": {"type": "string", "writeOnly": true}}});
    let schema = HeaderSchema::compile(&schema).unwrap();
    let script = Script::default().on(
        "a",
        [
            Answer::calls(["b", "c"].map(|name| ("ask_agent", json!({"agent": name, "input": "?"})))),
            Answer::text("done"),
        ],
    );
    let agents = [
        agent("a").with_delegate("b").with_delegate("c"),
        agent("b").with_required_header("account"),
        agent("c").with_header("Authorization", "Bearer {{ headers.key }}"),
    ];
    let runner = Runner::with_agents(agents).provider(script.provider()).headers(schema).build().unwrap();
    let result = runner.run("Hello").await.unwrap();
    assert_eq!(script.calls().len(), 2, "neither was called");
    let said = said(&result.messages);
    assert_eq!(said[2], "tool: b needs the header `account`, which was not sent.");
    assert!(said[3].starts_with("tool: c failed: header `key`: "), "{}", said[3]);
    let stayed = result.trail.iter().find(|entry| &*entry.agent == "c" && &*entry.header == "Authorization");
    assert!(stayed.is_some_and(|entry| !entry.sent && entry.reason.is_some()), "the trail says that it stayed");
}
