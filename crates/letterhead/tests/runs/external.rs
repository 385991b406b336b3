//! An agent that may ask one on another machine.

use letterhead::outbound::{EgressAllow, GuardOptions, GuardedClient};
use letterhead::{ExternalAgent, HeaderSchema, RunResult, Runner, RunnerBuilder};
use letterhead_testkit::ScriptedAgent;
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, said};

/// A secret that nobody may see but the agent.
pub(crate) const TOKEN: &str = "t_secret-canary";

/// A model that asks an agent one question, and then says `done`.
pub(crate) fn asking(agent: &str, input: &str) -> Script {
    let call = Answer::calls([("ask_agent", json!({ "agent": agent, "input": input }))]);
    Script::default().on("a", [call, Answer::text("done")])
}

/// The external agent `legal`, with a secret in its headers.
pub(crate) fn legal(agent: &ScriptedAgent) -> ExternalAgent {
    ExternalAgent::new("legal", agent.api.url(""))
        .with_description("Answers contract questions.")
        .with_header("Authorization", "Bearer {{ headers.token }}")
}

/// An agent `a` that may ask `legal`, and a client that may call 127.0.0.1.
pub(crate) fn desk(script: &Script, external: ExternalAgent) -> RunnerBuilder {
    let schema = HeaderSchema::compile(&json!({ "properties": {
        "org": { "type": "string" }, "token": { "type": "string", "writeOnly": true },
    } }));
    let allow = EgressAllow::parse(&["127.0.0.1"]).unwrap();
    let client = GuardedClient::new(GuardOptions { allow, ..GuardOptions::default() }).unwrap();
    Runner::with_agents([agent("a").with_delegate("legal")])
        .provider(script.provider())
        .headers(schema.unwrap())
        .guarded_client(client)
        .external_agent(external)
}

/// What the model was told of the last question.
pub(crate) fn result_of(result: &RunResult) -> String {
    assert_eq!(result.output, "done", "the run goes on, whatever comes of the question");
    let said = said(&result.messages);
    let text = said.iter().rev().find_map(|said| said.strip_prefix("tool: ")).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("127.0.0.1"), "{text}");
    text.to_owned()
}

/// Asks one question, in a run that nobody listens to.
pub(crate) async fn run(agent: &ScriptedAgent, input: &str) -> String {
    ask(legal(agent), input).await
}

/// The same of an agent as it is configured here.
pub(crate) async fn ask(external: ExternalAgent, input: &str) -> String {
    let script = asking("legal", input);
    let runner = desk(&script, external).build().unwrap();
    result_of(&runner.run("Hello").context_header("token", TOKEN).await.unwrap())
}
