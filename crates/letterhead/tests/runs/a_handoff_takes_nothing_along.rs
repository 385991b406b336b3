//! After a handoff nothing of the source agent survives; what belongs to the request does.

use letterhead::model::OutputSchema;
use letterhead::run::{Events, Limits, RunInput};
use letterhead::{
    Caller, CallerSource, HeaderSchema, Registry, RequestContext, RuntimeHeaders, Sent, SessionId, SessionMode,
    TenantId, UserId,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, either, gives, runner};

fn output() -> OutputSchema {
    OutputSchema::new("form", json!({"type": "object"}))
}

#[tokio::test]
async fn headers_params_form_prompt_tools_and_model_are_the_targets_own() {
    for stream in [false, true] {
        let script = Script::default()
            .on("source", [Answer::tool("handoff_to_target")])
            .on("target", [Answer::text("mine now")]);
        let source = agent("source")
            .with_instructions("You are the source.")
            .with_header("X-Source", "1")
            .with_header("Authorization", "Bearer source")
            .with_param("temperature", 0.9)
            .with_output(output())
            .with_tool(gives("sources_tool", ""))
            .with_handoff("target");
        let runner = runner(&script, [source, agent("target")]);
        let result = either(runner.run("Hello").param("seed", 7), stream).await;
        assert_eq!(&*result.current_agent, "target");

        let call = script.call_of("target");
        assert_eq!(call.headers.len(), 0, "{:?}", call.headers);
        assert_eq!(Value::Object(call.params), json!({"seed": 7}), "the run's fields stay");
        assert_eq!((call.instructions.as_str(), call.output, call.tools.len()), ("", None, 0));
    }
}

#[tokio::test]
async fn what_belongs_to_the_request_stays_and_so_does_a_model_chosen_for_the_run() {
    let schema = HeaderSchema::compile(&json!({"properties": {"org": {"type": "string", "default": "Acme"}}})).unwrap();
    let script = Script::default();
    let told = "{{ caller.tenant_id }} {{ caller.user_id }} {{ session.id }} {{ session.mode }} {{ request.client_id }} \
                {{ request.id }} {{ headers.org }} {{ agent.name }}";
    let registry = Registry::builder()
        .schema(schema.clone())
        .provider(script.provider())
        .agent(agent("source").with_instructions(told).with_handoff("target"))
        .agent(agent("target").with_instructions(told))
        .build()
        .unwrap();
    let caller = Caller::new(TenantId::new("t1"), Some(UserId::new("u1")), CallerSource::Token);
    let mut runtime = RuntimeHeaders::new();
    runtime.set("X-Request-ID", "r1").unwrap();
    let context = RequestContext::builder(caller, schema.merge([], &Sent::nothing(), &[]).unwrap())
        .session(SessionId::parse("s1").unwrap(), SessionMode::Evaluation)
        .client_id("app")
        .request_id("req-1")
        .runtime(runtime)
        .model("test:chosen")
        .build("source");
    for stream in [false, true] {
        let script = script.clone().on("chosen", [Answer::tool("handoff_to_target"), Answer::text("yes")]);
        let mut input = RunInput::default();
        input.stream = stream;
        let outcome =
            registry.run(context.clone(), input, Limits::default(), CancellationToken::new(), Events::none()).await;
        assert_eq!((&*outcome.agent, &*outcome.model), ("target", "test:chosen"));
        let calls = script.calls();
        let [.., before, after] = calls.as_slice() else { panic!("two calls") };
        assert_eq!(before.instructions, "t1 u1 s1 evaluation app req-1 Acme source");
        assert_eq!(after.instructions, "t1 u1 s1 evaluation app req-1 Acme target");
        assert_eq!(after.header("x-request-id"), Some("r1"));
    }
}
