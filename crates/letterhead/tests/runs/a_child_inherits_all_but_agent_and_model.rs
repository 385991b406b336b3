//! What a child inherits, row by row, streaming or not; and what no argument can change.

use letterhead::run::{Events, Limits, Outcome, RunInput};
use letterhead::{
    Caller, CallerSource, Delegate, HeaderSchema, Registry, RequestContext, RuntimeHeaders, Sent, SessionId,
    SessionMode, TenantId, TraceContext, UserId,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, either, runner, said_in};

const TOLD: &str = "{{ caller.tenant_id }} {{ caller.user_id }} {{ session.id }} {{ session.mode }} \
                    {{ request.client_id }} {{ request.id }} {{ headers.org }} {{ agent.name }}";

fn ask(arguments: Value) -> Answer {
    Answer::calls([("ask_agent", arguments)])
}

fn schema() -> HeaderSchema {
    HeaderSchema::compile(&json!({"properties": {
        "org": {"type": "string", "default": "Acme"}, "token": {"type": "string", "writeOnly": true, "default": "t0p"},
    }}))
    .unwrap()
}

fn context() -> RequestContext {
    let caller = Caller::new(TenantId::new("t1"), Some(UserId::new("u1")), CallerSource::Token);
    let mut runtime = RuntimeHeaders::new();
    runtime.set("X-Request-ID", "r1").unwrap();
    RequestContext::builder(caller, schema().merge([], &Sent::nothing(), &[]).unwrap())
        .session(SessionId::parse("s1").unwrap(), SessionMode::Evaluation)
        .client_id("app")
        .request_id("req-1")
        .trace(TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap())
        .runtime(runtime)
        .model("test:chosen")
        .build("parent")
}

async fn run(registry: &Registry, stream: bool) -> Outcome {
    let (sender, mut events) = mpsc::channel(1);
    let listener = tokio::spawn(async move { while events.recv().await.is_some() {} });
    let mut input = RunInput::new([json!({"role": "user", "content": "Hello"}).to_string().into()]);
    input.stream = stream;
    let events = Some(sender).filter(|_| stream).map_or_else(Events::none, Events::to);
    let outcome = registry.run(context(), input, Limits::default(), CancellationToken::new(), events).await;
    listener.await.unwrap();
    outcome
}

#[tokio::test]
async fn every_row_of_the_table() {
    for stream in [false, true] {
        let script = Script::default()
            .on("chosen", [ask(json!({"agent": "child", "input": "Who is it?"})), Answer::text("done")])
            .on("child", [Answer::text("yes")]);
        let registry = Registry::builder()
            .schema(schema())
            .provider(script.provider().with_api_key("{{ headers.token }}"))
            .agent(agent("parent").with_instructions(TOLD).with_delegate("child"))
            .agent(agent("child").with_instructions(TOLD))
            .build()
            .unwrap();
        let outcome = run(&registry, stream).await;
        assert_eq!(outcome.output, "done");

        let child = script.call_of("child");
        assert_eq!(child.instructions, "t1 u1 s1 evaluation app req-1 Acme child");
        assert_eq!(child.header("authorization"), Some("Bearer t0p"), "secrets of the request");
        assert_eq!(child.header("x-request-id"), Some("r1"));
        let spans: Vec<_> = script.calls().iter().map(|call| call.header("traceparent").unwrap().to_owned()).collect();
        assert!(spans.iter().all(|span| span.starts_with("00-0af7651916cd43dd8448eb211c80319c-")), "{spans:?}");
        assert!(spans[0] != spans[1] && spans[1] != spans[2], "each call is a span of its own: {spans:?}");
        assert_eq!(child.model, "child", "a model chosen for the run is not the child's");
        assert_eq!(&*outcome.agent, "parent", "a child does not take the conversation");
        assert_eq!(said_in(&outcome), ["assistant: <ask_agent>", "tool: yes", "assistant: done"]);
    }
}

#[tokio::test]
async fn a_child_sees_its_input_and_with_history_the_conversation_too() {
    for history in [false, true] {
        let script = Script::default()
            .on("parent", [Answer::text("Hi."), ask(json!({"agent": "child", "input": "Who?"})), Answer::text("done")])
            .on("child", [Answer::text("yes")]);
        let mut delegate = Delegate::new("child");
        delegate.history = history;
        let runner = runner(&script, [agent("parent").with_delegate(delegate), agent("child")]);
        let first = runner.run("One").await.unwrap();
        runner.run("Two").previous(&first).await.unwrap();
        let expected: &[&str] =
            if history { &["user: One", "assistant: Hi.", "user: Two", "user: Who?"] } else { &["user: Who?"] };
        assert_eq!(script.call_of("child").said(), expected);
    }
}

#[tokio::test]
async fn no_argument_can_name_a_caller_and_only_delegates_can_be_asked() {
    for (arguments, told) in [
        (json!({"agent": "child", "input": "?", "user_id": "eve"}), "and nothing else"),
        (json!({"agent": "child", "input": "?", "tenant_id": "t2"}), "and nothing else"),
        (json!({"agent": "child", "input": "?", "session_id": "s2"}), "and nothing else"),
        (json!({"agent": "child", "input": "?", "headers": {}}), "and nothing else"),
        (json!({"agent": "child", "input": "?", "model": "test:big"}), "cannot be chosen"),
        (json!({"agent": "child"}), "and nothing else"),
        (json!({"agent": "stranger", "input": "?"}), "It may ask: child"),
    ] {
        let script = Script::default().on("parent", [ask(arguments.clone()), Answer::text("done")]);
        let agents = [agent("parent").with_delegate("child"), agent("child"), agent("stranger")];
        let result = runner(&script, agents).run("Hello").await.unwrap();
        assert_eq!(script.calls().len(), 2, "{arguments}: nobody was asked");
        let result = result.messages.iter().find(|message| message.contains("tool_call_id")).unwrap();
        assert!(result.contains(told), "{arguments}: {result}");
    }
}

#[tokio::test]
async fn a_model_may_be_chosen_for_a_child_within_those_that_are_allowed() {
    for stream in [false, true] {
        let script = Script::default()
            .on(
                "parent",
                [
                    ask(json!({"agent": "child", "input": "?", "model": "test:small"})),
                    ask(json!({"agent": "child", "input": "?", "model": "test:big"})),
                    Answer::text("done"),
                ],
            )
            .on("small", [Answer::text("yes")]);
        let agents = [agent("parent").with_delegate("child"), agent("child")];
        let runner = letterhead::Runner::with_agents(agents).provider(script.provider());
        let runner = runner.allow_models(vec!["test:sm*".to_owned()]).build().unwrap();
        let result = either(runner.run("Hello"), stream).await;
        assert_eq!(script.calls_of("small").len(), 1);
        assert_eq!(script.calls_of("big").len(), 0);
        assert!(result.messages.iter().any(|message| message.contains("The model test:big cannot be chosen")));
    }
}
