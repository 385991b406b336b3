//! Runtime headers are on every LLM call of a run: of tool rounds, of agents handed over to, of children.

use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, either, gives, runner};

#[tokio::test]
async fn tool_rounds_handoffs_and_children_carry_them() {
    for stream in [false, true] {
        let script = Script::default()
            .on(
                "first",
                [
                    Answer::tool("look"),
                    Answer::calls([("ask_agent", json!({"agent": "child", "input": "?"}))]),
                    Answer::tool("handoff_to_second"),
                ],
            )
            .on(
                "child",
                [Answer::calls([("ask_agent", json!({"agent": "grandchild", "input": "?"}))]), Answer::text("yes")],
            )
            .on("grandchild", [Answer::text("yes")])
            .on("second", [Answer::text("done")]);
        let runner = runner(
            &script,
            [
                agent("first")
                    .with_tool(gives("look", "seen"))
                    .with_delegate("child")
                    .with_handoff("second")
                    .with_header("X-Env", "first")
                    .with_header("X-Own", "first"),
                agent("second").with_header("X-Env", "second"),
                agent("child").with_header("x-env", "child").with_delegate("grandchild"),
                agent("grandchild"),
            ],
        );
        let run = runner.run("Hello").header("X-ENV", "run").unwrap().header("X-Request-ID", "r1").unwrap();
        let result = either(run, stream).await;
        assert_eq!(result.output, "done");

        let calls = script.calls();
        assert_eq!(calls.len(), 7);
        for call in calls {
            assert_eq!(call.header("x-env"), Some("run"), "{}, stream: {stream}", call.model);
            assert_eq!(call.header("x-request-id"), Some("r1"), "{}", call.model);
            assert_eq!(call.header("x-own"), (call.model == "first").then_some("first"), "{}", call.model);
            assert_eq!(call.stream, stream, "{}", call.model);
        }
        for agent in ["first", "second", "child", "grandchild"] {
            let noted = result.trail.iter().find(|entry| &*entry.agent == agent && &*entry.header == "x-request-id");
            assert!(noted.is_some_and(|entry| entry.sent), "the trail of {agent}");
        }
        let first: Vec<_> = result.trail.iter().filter(|entry| &*entry.agent == "first").collect();
        assert_eq!(first.len(), 4, "three calls carry the same, which is noted once: {first:?}");
    }
}

#[tokio::test]
async fn a_header_taken_away_stays_away_everywhere() {
    let script = Script::default()
        .on(
            "first",
            [
                Answer::calls([("ask_agent", json!({"agent": "child", "input": "?"}))]),
                Answer::tool("handoff_to_second"),
            ],
        )
        .on("child", [Answer::text("yes")])
        .on("second", [Answer::text("done")]);
    let agents = ["first", "second", "child"].map(|name| agent(name).with_header("X-Env", name));
    let [first, second, child] = agents;
    let runner = runner(&script, [first.with_delegate("child").with_handoff("second"), second, child]);
    runner.run("Hello").without_header("x-env").unwrap().await.unwrap();
    assert!(script.calls().iter().all(|call| call.header("x-env").is_none()));
}
