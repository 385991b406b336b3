//! A result goes on: with its conversation, its state and the agent that has the conversation, also from storage.

use letterhead::{Caller, CallerSource, Headers, RequestContext, RunResult, RuntimeHeaders, TenantId};
use serde_json::{Value, json};

use crate::script::{Answer, Script};
use crate::support::{agent, either, runner, tool};

fn kept(result: &RunResult) -> RunResult {
    serde_json::from_str(&serde_json::to_string(result).unwrap()).unwrap()
}

#[tokio::test]
async fn the_active_agent_and_the_conversation_survive_storage() {
    for stream in [false, true] {
        let script = Script::default()
            .on("a", [Answer::tool("handoff_to_b")])
            .on("b", [Answer::text("One."), Answer::text("Two.")]);
        let runner = runner(&script, [agent("a").with_handoff("b"), agent("b")]);
        let first = either(runner.run("1 \"é\"\n"), stream).await;
        assert_eq!(kept(&first), first);
        let second = either(runner.run("2").previous(&kept(&first)), stream).await;
        assert_eq!((second.output.as_str(), &*second.current_agent), ("Two.", "b"));
        let said = script.calls_of("b")[1].said();
        assert_eq!(said[0], "user: 1 \"é\"\n");
        assert_eq!(said[3..], ["assistant: One.", "user: 2"]);
    }
}

#[test]
fn a_result_of_another_version_is_refused() {
    let text = json!({
        "version": 2, "output": "", "finish": null, "messages": [], "usage": {}, "current_agent": "a", "state": {}, "trail": [],
    });
    let error = serde_json::from_value::<RunResult>(text).unwrap_err().to_string();
    assert_eq!(error, "a result of version 2; this library reads version 1");
}

#[tokio::test]
async fn state_goes_along_and_a_run_changes_its_own_copy_alone() {
    let count = || {
        tool("count", |context| async move {
            let before = context.state.get("list").and_then(|list| list.as_array().cloned()).unwrap_or_default();
            let after: Vec<Value> = before.into_iter().chain([context.request.agent().into()]).collect();
            context.state.set("list", after.clone().into()).unwrap();
            Ok(after.len().into())
        })
    };
    let forget = tool("forget", |context| async move {
        context.state.remove("list");
        Ok(true.into())
    });
    let script = Script::default().on(
        "a",
        [
            Answer::tool("count"),
            Answer::text("1"),
            Answer::tool("count"),
            Answer::text("2"),
            Answer::tool("forget"),
            Answer::text("3"),
        ],
    );
    let a = agent("a").with_instructions("Counted: {{ state.list }}").with_tool(count()).with_tool(forget);
    let runner = runner(&script, [a]);
    let first = runner.run("Go").await.unwrap();
    assert_eq!(*first.state, json!({"list": ["a"]}));
    let second = runner.run("Go").previous(&first).await.unwrap();
    assert_eq!(*second.state, json!({"list": ["a", "a"]}));
    let third = runner.run("Go").previous(&second).await.unwrap();
    assert_eq!(*third.state, json!({}));
    assert_eq!(*first.state, json!({"list": ["a"]}), "an earlier result does not change");
    assert_eq!(*second.state, json!({"list": ["a", "a"]}));
    let told: Vec<_> = script.calls().into_iter().map(|call| call.instructions).collect();
    assert_eq!(told[..3], ["Counted: ", r#"Counted: ["a"]"#, r#"Counted: ["a"]"#], "templates see it change");
}

#[tokio::test]
async fn a_requests_context_keeps_its_caller_and_the_run_adds_to_it() {
    let script =
        Script::default().on("a", [Answer::text("One.")]).on("b", [Answer::tool("handoff_to_a"), Answer::text("b")]);
    let told = "{{ caller.tenant_id }} {{ request.id }}";
    let agents = [agent("a").with_instructions(told), agent("b").with_instructions(told).with_handoff("a")];
    let runner = runner(&script, agents);
    let mut runtime = RuntimeHeaders::new();
    runtime.set("X-One", "request").unwrap();
    runtime.set("X-Two", "request").unwrap();
    let caller = Caller::new(TenantId::new("t1"), None, CallerSource::ApiKey);
    let request = RequestContext::builder(caller, Headers::none()).request_id("r1").runtime(runtime).build("b");
    let run = runner.run("Hello").request(request.clone()).header("x-two", "run").unwrap();
    let result = run.without_header("X-Three").unwrap().await.unwrap();
    assert_eq!(&*result.current_agent, "a", "the request's agent starts, and hands over");
    for call in script.calls() {
        assert_eq!(call.instructions, "t1 r1");
        assert_eq!((call.header("x-one"), call.header("x-two")), (Some("request"), Some("run")));
    }
    let script = script.on("a", [Answer::text("Two.")]);
    let result = runner.run("More").request(request.clone()).previous(&result).await.unwrap();
    assert_eq!(result.output, "Two.", "the active agent goes on, not the one that the request was for");
    assert_eq!(script.calls_of("b").len(), 1);

    let both = runner.run("More").request(request).context_header("org", "Acme").await.unwrap_err();
    assert!(both.problem.detail().contains("`org`"), "{both}");
}

#[tokio::test]
async fn the_order_in_which_a_run_is_told_of_things_makes_no_difference() {
    let script =
        || Script::default().on("a", [Answer::text("One.")]).on("b", [Answer::text("Two."), Answer::text("Three.")]);
    let params = |name: &str| json!({ name: 1 }).as_object().cloned().unwrap();
    for first in [true, false] {
        let script = script();
        let runner = runner(&script, [agent("a"), agent("b")]);
        let one = runner.run("1").await.unwrap();
        let run = runner.run("2");
        let run = if first { run.previous(&one).agent("b") } else { run.agent("b").previous(&one) };
        let two = run.param("seed", 7).params(params("top_p")).await.unwrap();
        assert_eq!(&*two.current_agent, "b", "the agent that the run names; previous first: {first}");
        let call = &script.calls_of("b")[0];
        assert_eq!(call.said(), ["user: 1", "assistant: One.", "user: 2"]);
        assert_eq!(call.params.keys().collect::<Vec<_>>(), ["seed", "top_p"], "fields are added, as headers are");

        let run = runner.run("3").previous(&one).previous(&two);
        assert_eq!(&*run.await.unwrap().current_agent, "b");
        let said = script.calls_of("b")[1].said();
        assert_eq!(said.iter().filter(|said| *said == "user: 1").count(), 1, "a run goes on from one result: {said:?}");
    }
}
