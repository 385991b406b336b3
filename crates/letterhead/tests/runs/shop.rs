//! An agent with one HTTP tool, the API behind it, and a user with a token.

use letterhead::outbound::{EgressAllow, GuardOptions, GuardedClient};
use letterhead::{HeaderSchema, HttpTool, RunResult, Runner, RunnerBuilder, TraceContext};
use letterhead_testkit::ScriptedApi;
use serde_json::{Value, json};

use crate::script::{Answer, Script};
use crate::support::{agent, said};

/// A secret that nobody may see but the API.
pub(crate) const TOKEN: &str = "t_secret-canary";

/// A tool `get_order` that calls this path.
pub(crate) fn tool(api: &ScriptedApi, path: &str) -> HttpTool {
    HttpTool::new("get_order", api.url(path)).with_description("Looks an order up.").with_parameters(json!({
        "required": ["order_id"],
        "properties": { "order_id": { "type": "string" }, "note": { "type": "string" }, "limit": { "type": "integer" } },
    }))
}

/// An agent with the tool, a user `u_1` with a token, and a client that may call 127.0.0.1.
pub(crate) fn shop(script: &Script, tool: HttpTool) -> RunnerBuilder {
    let schema = HeaderSchema::compile(&json!({ "properties": {
        "user_id": { "type": "string" }, "org": { "type": "string" }, "token": { "type": "string", "writeOnly": true },
    } }));
    let allow = EgressAllow::parse(&["127.0.0.1"]).unwrap();
    let client = GuardedClient::new(GuardOptions { allow, ..GuardOptions::default() }).unwrap();
    Runner::with_agents([agent("a").with_tool_named("get_order")])
        .provider(script.provider())
        .headers(schema.unwrap())
        .guarded_client(client)
        .http_tool(tool)
}

/// A model that calls `get_order` with these arguments, one call after the other, and then says `done`.
pub(crate) fn calling(arguments: impl IntoIterator<Item = Value>) -> Script {
    let calls = arguments.into_iter().map(|arguments| Answer::calls([("get_order", arguments)]));
    Script::default().on("a", calls.chain([Answer::text("done")]))
}

/// Runs with `user_id: u_1` and the token.
pub(crate) async fn run(builder: RunnerBuilder) -> RunResult {
    let run = builder.build().unwrap().run("Hello");
    run.context_header("user_id", "u_1").context_header("token", TOKEN).await.unwrap()
}

/// The result of the only call of a run.
pub(crate) async fn result(tool: HttpTool, arguments: Value) -> String {
    let script = calling([arguments]);
    let result = run(shop(&script, tool)).await;
    assert_eq!(result.output, "done", "the run goes on, whatever comes of the call");
    let said = said(&result.messages);
    let text = said[2].strip_prefix("tool: ").unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("127.0.0.1"), "{text}");
    text.to_owned()
}

/// A trace.
pub(crate) fn trace() -> TraceContext {
    TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap()
}
