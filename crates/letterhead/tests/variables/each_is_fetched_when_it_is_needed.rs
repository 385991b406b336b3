//! Before a model is called, what its agent's templates need is fetched: independent variables at the same time, a
//! dependent one as soon as its own inputs are there, each once a turn. What others need waits until they need it.

use letterhead::run::RunEnd;
use letterhead::tool::{FunctionTool, Tool, ToolContext, ToolError};
use letterhead::{Agent, Variable};
use letterhead_testkit::{Answer as Reply, ScriptedApi};
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, builder, context, entries, problem, script, told, turn, turn_until, user};

#[tokio::test]
async fn a_dependent_one_starts_with_its_own_inputs_and_waits_for_no_other() {
    let (api, script) = (ScriptedApi::start().await, script());
    let (slow, slow_gate) = Reply::json(&json!({ "text": "Sunny." })).held();
    let (first, first_gate) = Reply::json(&json!({ "id": "u/1", "name": "Ada" })).held();
    api.on("/weather").then(slow);
    api.on("/me").then(first);
    api.on("/orders?user=u%2F1").json(&json!([7, 8]));
    let registry = builder(&api, &script)
        .variable(Variable::new("orders", api.url("/orders?user={{ user.id }}")))
        .variable(Variable::new("weather", api.url("/weather")))
        .variable(user(api.url("/me")))
        .agent(agent("{{ user.name }}: {{ orders }}. {{ weather.text }}"))
        .build()
        .unwrap();
    let running = tokio::spawn(async move { turn(&registry, context("a", &[]), Vec::new()).await });
    // Both at once: neither has been answered.
    let asked = api.received(2).await;
    let mut paths: Vec<&str> = asked.iter().map(|request| request.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/me", "/weather"]);
    // The second round trip begins while the slow one of the first is still open.
    first_gate.open();
    assert_eq!(api.received(3).await[2].path, "/orders?user=u%2F1");
    slow_gate.open();
    let outcome = running.await.unwrap();
    assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
    assert_eq!(told(&script), "Ada: [7,8]. Sunny.");
    assert_eq!(api.requests().len(), 3);
}

#[tokio::test]
async fn what_two_variables_need_is_fetched_once() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "id": 1 }));
    api.on("/a/1").json(&json!({ "v": "A" }));
    api.on("/b/1").json(&json!({ "v": "B" }));
    let registry = builder(&api, &script)
        .variable(Variable::new("one", api.url("/a/{{ user.id }}")))
        .variable(Variable::new("two", api.url("/b/{{ user.id }}")))
        .variable(user(api.url("/me")))
        .agent(agent("{{ one.v }}{{ two.v }}{{ user.id }}"))
        .build()
        .unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!(told(&script), "AB1");
    assert_eq!(api.requests().len(), 3);
}

#[tokio::test]
async fn nothing_is_fetched_for_an_agent_that_needs_nothing() {
    let (api, script) = (ScriptedApi::start().await, script());
    let registry =
        builder(&api, &script).variable(user(api.url("/me"))).agent(agent("You are brief.")).build().unwrap();
    let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
    assert!(api.requests().is_empty() && outcome.kept.is_empty() && outcome.trail.is_empty());
}

#[tokio::test]
async fn headers_of_the_agent_and_of_its_provider_need_them_too() {
    let api = ScriptedApi::start().await;
    api.on("/me").json(&json!({ "team": "desk", "region": "eu", "key": "k_1" }));
    let script = script();
    let provider = script.provider().with_header("X-Region", "{{ user.region }}").with_api_key("{{ user.key }}");
    let registry = letterhead::Registry::builder()
        .provider(provider)
        .guarded_client(crate::support::client(&api))
        .variable(user(api.url("/me")))
        .agent(agent("You are brief.").with_header("X-Team", "{{ user.team }}"))
        .build()
        .unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    let call = script.call_of("a");
    assert_eq!((call.header("x-team"), call.header("x-region")), (Some("desk"), Some("eu")));
    assert_eq!(call.header("authorization"), Some("Bearer k_1"));
    assert_eq!(api.requests().len(), 1);
}

/// An agent that asks another, twice in one answer.
fn asking(child: &str) -> Script {
    let ask = ("ask_agent", json!({ "agent": child, "input": "Well?" }));
    Script::default()
        .on("a", [Answer::calls([ask.clone(), ask]), Answer::text("Done.")])
        .on(child, std::iter::repeat_n(Answer::text("Fine."), 2))
}

#[tokio::test]
async fn a_delegates_are_fetched_when_it_is_asked_and_once_for_two_at_the_same_time() {
    let (api, script) = (ScriptedApi::start().await, asking("b"));
    api.on("/me").json(&json!({ "name": "Ada" }));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")))
        .agent(agent("You ask.").with_delegate("b"))
        .agent(Agent::new("b").with_model("test:b").with_instructions("For {{ user.name }}."))
        .build()
        .unwrap();
    let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!(api.requests().len(), 1);
    assert!(script.calls_of("b").iter().all(|call| call.instructions == "For Ada."));
    assert_eq!(outcome.kept.len(), 1, "the turn keeps what a child fetched");
}

#[tokio::test]
async fn in_a_delegate_a_fault_is_a_failed_tool_call() {
    let (api, script) = (ScriptedApi::start().await, asking("b"));
    api.on("/me").always(|_| Reply::status(403));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")))
        .agent(agent("You ask.").with_delegate("b"))
        .agent(Agent::new("b").with_model("test:b").with_instructions("For {{ user.name }}."))
        .build()
        .unwrap();
    let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
    assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
    let said = script.calls_of("a")[1].said();
    assert_eq!(said[2], "tool: b failed: `context.user` could not be fetched: the API answered 403");
    assert!(entries(&outcome, "context.user").any(|entry| !entry.sent), "{:?}", outcome.trail);
}

#[tokio::test]
async fn an_agent_that_takes_over_gets_its_own() {
    let api = ScriptedApi::start().await;
    api.on("/me").json(&json!({ "name": "Ada" }));
    let script = Script::default().on("a", [Answer::tool("handoff_to_b")]).on("b", [Answer::text("Hi.")]);
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")))
        .agent(agent("You hand over.").with_handoff("b"))
        .agent(Agent::new("b").with_model("test:b").with_instructions("For {{ user.name }}."))
        .build()
        .unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!(script.call_of("b").instructions, "For Ada.");
}

/// A tool of a program that says which variables it needs.
struct Needy(Arc<dyn Tool>, Vec<Arc<str>>);

#[async_trait::async_trait]
impl Tool for Needy {
    fn spec(&self) -> &Arc<letterhead::model::ToolSpec> {
        self.0.spec()
    }

    fn variables(&self) -> &[Arc<str>] {
        &self.1
    }

    async fn call(&self, arguments: &str, context: ToolContext) -> Result<String, ToolError> {
        self.0.call(arguments, context).await
    }
}

fn needy(variable: &str) -> Needy {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}
    let tool = FunctionTool::new("look", "Looks.", |_: Nothing, context: ToolContext| async move {
        Ok::<_, ToolError>(context.variables.names().map(str::to_owned).collect::<Vec<_>>())
    });
    Needy(Arc::new(tool.unwrap()), vec![Arc::from(variable)])
}

#[tokio::test]
async fn a_tools_are_fetched_before_it_is_called_or_the_call_fails() {
    for (status, result) in [
        (200, r#"["user"]"#),
        (403, "The call was not made: `context.user` could not be fetched: the API answered 403."),
    ] {
        let api = ScriptedApi::start().await;
        api.on("/me").always(move |_| Reply::json(&json!({})).with_status(status));
        let script = Script::default().on("a", [Answer::tool("look"), Answer::text("Done.")]);
        let agent = agent("You look.").with_tool(needy("user"));
        let registry = builder(&api, &script).variable(user(api.url("/me"))).agent(agent).build().unwrap();
        let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
        assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
        assert_eq!(script.calls_of("a")[1].said()[2], format!("tool: {result}"));
        assert_eq!(outcome.had_effects, status == 200, "a call that was not made has no effects");
    }
    let api = ScriptedApi::start().await;
    let faults =
        builder(&api, &script()).variable(user(api.url("/me"))).agent(agent("").with_tool(needy("usr"))).build();
    let told = faults.unwrap_err().to_string();
    assert!(told.contains("the tool `look`: there is no context variable `usr`: did you mean `user`?"), "{told}");
}

#[tokio::test]
async fn one_that_reads_the_agent_is_fetched_for_each_agent() {
    let (api, script) = (ScriptedApi::start().await, asking("b"));
    api.always(|request| Reply::json(&json!({ "for": request.path })));
    let registry = builder(&api, &script)
        .variable(user(api.url("/{{ agent.name }}")))
        .agent(agent("{{ user.for }}").with_delegate("b"))
        .agent(Agent::new("b").with_model("test:b").with_instructions("{{ user.for }}"))
        .build()
        .unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    assert!(script.calls_of("a").iter().all(|call| call.instructions == "/a"));
    assert!(script.calls_of("b").iter().all(|call| call.instructions == "/b"));
    assert_eq!(api.requests().len(), 2, "once for each, whatever the number of model calls");
}

#[tokio::test]
async fn cancelling_gives_fetches_up_and_calls_no_model() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").then(Reply::hang());
    let registry = builder(&api, &script).variable(user(api.url("/me"))).agent(agent("{{ user }}")).build().unwrap();
    let cancelled = CancellationToken::new();
    let until = cancelled.clone();
    let running = tokio::spawn(async move { turn_until(&registry, context("a", &[]), Vec::new(), until).await });
    api.received(1).await;
    cancelled.cancel();
    let outcome = running.await.unwrap();
    assert_eq!(outcome.end, RunEnd::Cancelled);
    api.left(1).await;
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn when_one_fails_the_others_are_not_waited_for() {
    let (api, script) = (ScriptedApi::start().await, script());
    let (refused, gate) = Reply::status(404).held();
    api.on("/slow").then(Reply::hang());
    api.on("/me").then(refused);
    let registry = builder(&api, &script)
        .variable(Variable::new("slow", api.url("/slow")))
        .variable(user(api.url("/me")))
        .agent(agent("{{ slow }}{{ user }}"))
        .build()
        .unwrap();
    let running = tokio::spawn(async move { turn(&registry, context("a", &[]), Vec::new()).await });
    api.received(2).await;
    gate.open();
    let outcome = running.await.unwrap();
    assert!(problem(&outcome).detail().contains("`context.user`"));
    api.left(1).await;
}

#[tokio::test]
async fn when_one_that_waited_gives_up_the_request_goes_on_for_the_others() {
    let (api, script) = (ScriptedApi::start().await, script());
    let (refused, refuse) = Reply::status(404).held();
    let (slow, answer) = Reply::json(&json!({ "id": 1 })).held();
    api.on("/refused").then(refused);
    api.on("POST /slow").then(slow).json(&json!({ "id": 2 }));
    api.on("/last").json(&json!("last"));
    let registry = builder(&api, &script)
        // It waits for both, and has no use for the one without the other.
        .variable(Variable::new("both", api.url("/{{ refused.id }}/{{ slow.id }}")).with_default(json!("neither")))
        .variable(Variable::new("last", api.url("/last?of={{ both }}")))
        .variable(Variable::new("refused", api.url("/refused")))
        .variable(Variable::new("slow", api.url("/slow")).with_method(http::Method::POST))
        .agent(agent("{{ last }} {{ slow.id }}"))
        .build()
        .unwrap();
    let running = tokio::spawn(async move { turn(&registry, context("a", &[]), Vec::new()).await });
    api.received(2).await;
    refuse.open();
    // By now it has been given up by the one, and the other waits for it still.
    assert_eq!(api.received(3).await[2].path, "/last?of=neither");
    answer.open();
    let outcome = running.await.unwrap();
    assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
    assert_eq!(told(&script), "last 1");
    assert_eq!(api.requests_to("POST /slow").len(), 1);
    assert_eq!(outcome.kept.len(), 2, "{:?}", outcome.kept);
}
