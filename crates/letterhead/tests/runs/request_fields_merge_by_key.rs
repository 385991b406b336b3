//! Request fields: provider < agent < run; objects merge by key.

use serde_json::{Value, json};

use crate::script::{Answer, Script};
use crate::support::agent;
use letterhead::Runner;

fn object(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn the_later_layer_wins_and_objects_merge() {
    let script = Script::default().on("a", [Answer::text("yes")]);
    let provider = script.provider().with_params(object(&json!({
        "temperature": 0.1, "seed": 1, "metadata": {"a": "provider", "b": "provider", "deep": {"x": 1}}, "stop": ["p"],
    })));
    let agent = agent("a")
        .with_param("temperature", 0.2)
        .with_param("metadata", json!({"b": "agent", "deep": {"y": 2}}))
        .with_param("stop", json!(["a"]))
        .with_param("top_p", 0.5);
    let runner = Runner::with_agents([agent]).provider(provider).build().unwrap();
    let run =
        runner.run("Hello").params(object(&json!({"temperature": 0.3, "metadata": {"c": "run", "deep": {"y": 3}}})));
    run.param("max_tokens", 7).await.unwrap();
    let expected = json!({
        "temperature": 0.3, "seed": 1, "stop": ["a"], "top_p": 0.5, "max_tokens": 7,
        "metadata": {"a": "provider", "b": "agent", "c": "run", "deep": {"x": 1, "y": 3}},
    });
    assert_eq!(Value::Object(script.call_of("a").params), expected);
}

#[tokio::test]
async fn an_object_replaces_what_is_none_and_is_replaced_by_what_is_none() {
    let script = Script::default().on("a", [Answer::text("yes"), Answer::text("yes")]);
    let agent = agent("a").with_param("one", json!({"x": 1})).with_param("two", 2);
    let runner = crate::support::runner(&script, [agent]);
    runner.run("Hello").params(object(&json!({"one": null, "two": {"y": 1}}))).await.unwrap();
    runner.run("Hello").await.unwrap();
    let calls = script.calls();
    assert_eq!(Value::Object(calls[0].params.clone()), json!({"one": null, "two": {"y": 1}}));
    let own = json!({"one": {"x": 1}, "two": 2});
    assert_eq!(Value::Object(calls[1].params.clone()), own, "a run changes nothing but itself");
}

#[tokio::test]
async fn those_of_the_run_reach_children_except_the_form_of_its_answer() {
    let ask = json!({"agent": "child", "input": "?"});
    let script = Script::default()
        .on("parent", [Answer::calls([("ask_agent", ask)]), Answer::text("done")])
        .on("child", [Answer::text("yes")]);
    let parent = agent("parent").with_delegate("child").with_param("temperature", 0.9).with_param("top_p", 0.5);
    let child = agent("child").with_param("temperature", 0.1);
    let run = crate::support::runner(&script, [parent, child]).run("Hello");
    run.params(object(&json!({"seed": 7, "response_format": {"type": "json_object"}}))).await.unwrap();
    assert_eq!(Value::Object(script.call_of("child").params), json!({"temperature": 0.1, "seed": 7}));
    let again = &script.calls_of("parent")[1].params;
    assert_eq!(again["response_format"], json!({"type": "json_object"}), "the parent's own calls all have it");
}
