//! A result that is kept holds no secret, no runtime header and no token, whatever the run sent where.

use letterhead::outbound::{EgressAllow, GuardOptions, GuardedClient};
use letterhead::tool::{FunctionTool, ToolContext, ToolError};
use letterhead::{
    Caller, CallerSource, HeaderSchema, HttpTool, RequestContext, RunResult, Runner, RuntimeHeaders, Secret,
    SubjectToken, TenantId, UserId, Variable,
};
use letterhead_testkit::ScriptedApi;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{Nothing, agent};

/// Everything here went out somewhere, and is in no result that is kept.
const CANARIES: [&str; 6] =
    ["canary-key", "canary-agent", "canary-run", "canary-secret", "canary-subject-token", "canary-of-the-secret"];

#[derive(Deserialize, JsonSchema)]
struct AppHeaders {
    org: String,
    token: Secret,
}

async fn sign(_: Nothing, context: ToolContext) -> Result<String, ToolError> {
    let headers: AppHeaders = context.headers()?;
    assert_eq!(headers.token.reveal_text(), "canary-secret");
    Ok(format!("Signed for {}.", headers.org))
}

async fn ran(api: &ScriptedApi) -> (Script, Runner, RunResult) {
    api.on("/me").json(&json!({ "name": "Ada" }));
    api.on("/secret").json(&json!("canary-of-the-secret"));
    api.on("/orders").json(&json!({ "status": "shipped" }));
    let script = Script::default()
        .on("a", [Answer::calls([("sign", json!({})), ("orders", json!({}))]), Answer::tool("handoff_to_b")]);
    let script = script.on("b", [Answer::text("Done."), Answer::text("Again.")]);
    let allow = EgressAllow::parse(&[api.host()]).unwrap();
    let agent_a = agent("a")
        .with_instructions("You help {{ me.name }} of {{ headers.org }}.")
        .with_header("X-Agent", "canary-agent")
        .with_header("X-Token", "{{ headers.token }}")
        .with_header("X-Code", "{{ code }}")
        .with_tool(FunctionTool::new("sign", "Signs.", sign).unwrap())
        .with_tool_named("orders")
        .with_handoff("b");
    let runner = Runner::with_agents([agent_a, agent("b")])
        .provider(script.provider().with_api_key("canary-key"))
        .headers(HeaderSchema::of::<AppHeaders>().unwrap())
        .guarded_client(GuardedClient::new(GuardOptions { allow, ..GuardOptions::default() }).unwrap())
        .variable(Variable::new("me", api.url("/me")))
        // Fetched with a secret, and so one itself.
        .variable(Variable::new("code", api.url("/secret")).with_header("Authorization", "Bearer {{ headers.token }}"))
        .http_tool(HttpTool::new("orders", api.url("/orders")).with_header("X-Token", "{{ headers.token }}"))
        .build()
        .unwrap();
    let mut runtime = RuntimeHeaders::new();
    runtime.set("X-Request", "canary-run").unwrap();
    let caller = Caller::new(TenantId::new("t1"), Some(UserId::new("u1")), CallerSource::Token);
    let stored = [("org", json!("Acme")), ("token", json!("canary-secret"))];
    let stored = stored.iter().map(|(name, value)| (*name, value));
    let headers = runner.registry().schema().merge(stored, &letterhead::Sent::nothing(), &[]).unwrap();
    let request = RequestContext::builder(caller, headers)
        .runtime(runtime)
        .subject_token(SubjectToken::new("canary-subject-token", None))
        .build("a");
    let result = runner.run("Hello").request(request).header("X-Run", "canary-run").unwrap().await.unwrap();
    (script, runner, result)
}

#[tokio::test]
async fn though_all_of_it_went_out() {
    let api = ScriptedApi::start().await;
    let (script, runner, result) = ran(&api).await;
    let call = &script.calls()[0];
    assert_eq!(call.header("authorization"), Some("Bearer canary-key"));
    assert_eq!((call.header("x-token"), call.header("x-code")), (Some("canary-secret"), Some("canary-of-the-secret")));
    assert_eq!((call.header("x-request"), call.header("x-run")), (Some("canary-run"), Some("canary-run")));

    let kept = serde_json::to_string(&result).unwrap();
    for canary in CANARIES {
        assert!(!kept.contains(canary), "{canary} in {kept}");
        assert!(!format!("{result:?}").contains(canary), "{canary}");
    }
    assert!(kept.starts_with(r#"{"version":1,"#) && kept.contains("Ada"), "what was not secret is kept: {kept}");

    // It goes on with the agent that has the conversation, under headers of its own.
    let again: RunResult = serde_json::from_str(&kept).unwrap();
    assert!(result.trail.iter().any(|entry| &*entry.from == "headers.token"), "the trail has the names");
    let run = runner.run("More").previous(&again).context_headers([("org", "Acme"), ("token", "another")]);
    let next = run.await.unwrap();
    assert_eq!((&*next.current_agent, next.output.as_str()), ("b", "Again."));
    let last = script.calls().pop().unwrap();
    assert_eq!((last.header("x-request"), last.header("x-run")), (None, None), "runtime headers were that run's");
}

#[tokio::test]
async fn what_is_no_result_is_refused_and_not_repeated() {
    for text in
        ["", "null", "[]", "{}", r#"{"version":1}"#, r#"{"version":"canary-secret"}"#, r#"{"version":1,"output":7}"#]
    {
        assert!(serde_json::from_str::<RunResult>(text).is_err(), "{text}");
    }
    assert!(serde_json::from_slice::<RunResult>(b"\xff\xfe").is_err());
}
