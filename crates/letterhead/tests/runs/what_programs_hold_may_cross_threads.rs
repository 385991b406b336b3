//! What a program holds may be shared between threads, and what it awaits may move from one to another.

use letterhead::outbound::{GuardedClient, TrustedClient};
use letterhead::run::{Outcome, RunInput};
use letterhead::{
    Agent, BuildError, HttpTool, McpServer, Problem, Provider, Registry, RequestContext, Run, RunError, RunEvent,
    RunResult, RunStream, Runner, RunnerBuilder, State, ToolContext, ToolError, Variable,
};

use crate::script::{Answer, Script};
use crate::support::agent;

fn shared<T: Send + Sync + 'static>() {}

fn moved<T: Send + 'static>(awaited: T) -> T {
    awaited
}

#[tokio::test]
async fn types_and_futures() {
    shared::<(Agent, Provider, HttpTool, McpServer, Variable, Registry, Runner)>();
    shared::<(Run, RunStream, RunEvent, RunResult, RunError, RunInput, Outcome)>();
    shared::<(RequestContext, ToolContext, State, Problem, ToolError, BuildError)>();
    shared::<(GuardedClient, TrustedClient, letterhead::axum::ContextLayer)>();
    let script = Script::default().on("a", vec![Answer::text("Hello."); 2]);
    let runner = moved::<RunnerBuilder>(Runner::with_agents([agent("a")]).provider(script.provider())).build().unwrap();
    assert_eq!(moved(runner.run("1").into_future()).await.unwrap().output, "Hello.");
    assert_eq!(moved(moved(runner.run("2").stream()).result()).await.unwrap().output, "Hello.");
}
