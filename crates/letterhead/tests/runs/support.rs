//! What the tests of runs share.

use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use letterhead::run::{Outcome, RunEvent, RunStream};
use letterhead::tool::{FunctionTool, ToolContext, ToolError};
use letterhead::{Agent, Run, RunResult, Runner};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::script::Script;

/// An agent `name` on the scripted model of its name.
pub(crate) fn agent(name: &str) -> Agent {
    Agent::new(name).with_model(format!("test:{name}"))
}

pub(crate) fn runner(script: &Script, agents: impl IntoIterator<Item = Agent>) -> Runner {
    Runner::with_agents(agents).provider(script.provider()).build().unwrap()
}

/// The arguments of a tool that takes none.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// A tool that takes no arguments.
pub(crate) fn tool<R>(
    name: &str,
    function: impl Fn(ToolContext) -> R + Send + Sync + 'static,
) -> impl letterhead::tool::Tool + 'static
where
    R: Future<Output = Result<Value, ToolError>> + Send + 'static,
{
    FunctionTool::new(name, "A tool.", move |_: Nothing, context: ToolContext| function(context)).unwrap()
}

/// A tool that gives a text.
pub(crate) fn gives(name: &str, text: &str) -> impl letterhead::tool::Tool + 'static {
    let text: Arc<str> = text.into();
    tool(name, move |_| {
        let text = Arc::clone(&text);
        async move { Ok(Value::from(&*text)) }
    })
}

/// Runs in either way: awaited, or streamed to the end.
pub(crate) async fn either(run: Run, stream: bool) -> RunResult {
    if stream { run.stream().result().await.unwrap() } else { run.await.unwrap() }
}

/// All events of a stream, and its result.
pub(crate) async fn all(mut stream: RunStream) -> (Vec<RunEvent>, RunResult) {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    (events, stream.result().await.unwrap())
}

/// Messages with their roles, in short.
pub(crate) fn said<'a>(messages: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<String> {
    let short = |message: &Arc<str>| {
        let message: Value = serde_json::from_str(message).unwrap();
        let calls = message["tool_calls"].as_array().map(|calls| {
            calls.iter().map(|call| format!("<{}>", call["function"]["name"].as_str().unwrap())).collect::<String>()
        });
        let text = message["content"].as_str().unwrap_or_default();
        format!("{}: {text}{}", message["role"].as_str().unwrap(), calls.unwrap_or_default())
    };
    messages.into_iter().map(short).collect()
}

/// What an outcome's messages say.
pub(crate) fn said_in(outcome: &Outcome) -> Vec<String> {
    said(outcome.messages.iter().map(|message| &message.body))
}
