//! A run says by itself who asks and in which session, or has it from a request's context, and then its own word wins.

use letterhead::context::RuntimeNames;
use letterhead::tool::ToolContext;
use letterhead::{
    Agent, Caller, CallerSource, Code, HeaderSchema, Headers, RequestContext, Runner, SessionId, SessionMode,
    SubjectToken, TenantId, UserId,
};
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, runner, said, tool};

const TOLD: &str = "{{ caller.tenant_id }}/{{ caller.user_id }}/{{ session.id }}/{{ request.id }}";

fn caller(user: &str) -> Caller {
    Caller::new(TenantId::new("t1"), Some(UserId::new(user)), CallerSource::Token)
}

fn told() -> Agent {
    agent("a").with_instructions(TOLD)
}

#[tokio::test]
async fn caller_and_session_reach_templates_and_tools() {
    let script = Script::default().on("a", [Answer::tool("where"), Answer::text("done")]);
    let place = tool("where", |context: ToolContext| async move {
        let session = context.request.session().map(|id| id.as_str().to_owned());
        Ok(json!({ "session": session, "user": context.caller().user().map(|id| id.as_str().to_owned()) }))
    });
    let runner = runner(&script, [told().with_tool(place)]);
    let run = runner.run("Hello").caller(caller("u1")).session("sess-456").unwrap();
    let result = run.await.unwrap();
    assert_eq!(said(&result.messages)[2], r#"tool: {"session":"sess-456","user":"u1"}"#);
    let instructions = &script.calls()[0].instructions;
    assert!(instructions.starts_with("t1/u1/sess-456/run_"), "{instructions}");
}

#[tokio::test]
async fn they_win_over_the_requests_which_keeps_the_rest() {
    let script = Script::default().on("a", vec![Answer::text("done"); 2]);
    let runner = runner(&script, [told()]);
    let request = RequestContext::builder(caller("u1"), Headers::none())
        .session(SessionId::parse("s1").unwrap(), SessionMode::Evaluation)
        .request_id("r1")
        .build("a");
    runner.run("1").request(request.clone()).await.unwrap();
    runner.run("2").request(request).caller(caller("u2")).session("s2").unwrap().await.unwrap();
    let told: Vec<_> = script.calls().into_iter().map(|call| call.instructions).collect();
    assert_eq!(told, ["t1/u1/s1/r1", "t1/u2/s2/r1"]);
}

/// Ada's token must not be traded in the name of Bob, nor a model's API be told that it is Ada who asks.
#[tokio::test]
async fn what_proves_who_sent_the_request_is_nobody_elses() {
    let script = Script::default().on("a", (0..4).flat_map(|_| [Answer::tool("token"), Answer::text("done")]));
    let has_token =
        tool("token", |context: ToolContext| async move { Ok(json!(context.request.subject_token().is_some())) });
    let runner = runner(&script, [agent("a").with_instructions("{{ claims.email }}").with_tool(has_token)]);
    let names = RuntimeNames::new(["X-User-Id", "X-Session-Id"]).unwrap();
    let request = RequestContext::builder(caller("ada"), Headers::none())
        .claims(json!({ "email": "ada@example.com" }))
        .subject_token(SubjectToken::new("t_canary", None))
        .session(SessionId::parse("s1").unwrap(), SessionMode::Normal)
        .runtime_identity(&names)
        .build("a");
    let run = || runner.run("Hello").request(request.clone());
    for (run, expected) in [
        (run().caller(caller("ada")), ("ada@example.com", "true", Some("ada"), "s1")),
        (run().caller(caller("bob")), ("", "false", Some("bob"), "s1")),
        (run().caller(Caller::anonymous()).session("s2").unwrap(), ("", "false", None, "s2")),
        (
            run().header("X-User-Id", "of-the-program").unwrap(),
            ("ada@example.com", "true", Some("of-the-program"), "s1"),
        ),
    ] {
        let result = run.await.unwrap();
        let call = script.calls().pop().unwrap();
        let told = said(&result.messages)[2].replace("tool: ", "");
        let sent = (call.header("x-user-id"), call.header("x-session-id").unwrap());
        assert_eq!((&*call.instructions, &*told, sent.0, sent.1), expected);
    }
}

#[tokio::test]
async fn a_run_without_either_is_anonymous_and_in_no_session() {
    let script = Script::default().on("a", [Answer::text("done")]);
    runner(&script, [told()]).run("1").await.unwrap();
    assert!(script.calls()[0].instructions.starts_with("default///run_"));
}

#[test]
fn an_id_that_is_none_is_refused_at_once() {
    let runner = Runner::with_agents([Agent::new("a")]).build().unwrap();
    for id in ["", "..", "a b", "a/b", "a\n", &"x".repeat(129), "caf\u{e9}"] {
        let problem = runner.run("Hello").session(id).unwrap_err();
        assert_eq!(problem.code(), Code::InvalidSessionId, "{id:?}");
    }
    assert!(runner.run("Hello").session("x".repeat(128)).is_ok());
}

#[tokio::test]
async fn context_headers_beside_a_request_are_refused_by_name() {
    let schema = HeaderSchema::compile(&json!({ "properties": { "org": {} } })).unwrap();
    let runner = Runner::with_agents([Agent::new("a")]).headers(schema).build().unwrap();
    let request = RequestContext::builder(caller("u1"), Headers::none()).build("a");
    let error = runner.run("Hello").request(request).context_header("org", "canary").await.unwrap_err();
    assert!(error.to_string().contains("`org`") && !error.to_string().contains("canary"), "{error}");
}
