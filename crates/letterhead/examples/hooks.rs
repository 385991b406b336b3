//! Hooks are told what happens in all runs. They have threads of their own: what they do reaches no run.
//!
//! `cargo run -p letterhead --example hooks`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use letterhead::{Agent, FunctionTool, RunEvent, Runner, ToolContext, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct City {
    name: String,
}

async fn weather(city: City, _: ToolContext) -> Result<String, ToolError> {
    Ok(format!("It is sunny in {}.", city.name))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::new("assistant").with_tool(FunctionTool::new("weather", "Tells the weather.", weather)?);
    let mut calls = 0; // A hook is called by one thread, and may change what it holds.
    let runner = Runner::with_agents([agent])
        .hook(move |request, event| match event {
            RunEvent::RunStarted { agent } => println!("{agent} begins, for {}", request.caller().tenant()),
            RunEvent::ModelCallStarted { agent, model, .. } => println!("{agent} is thinking ({model})"),
            RunEvent::ModelCallCompleted { usage, .. } => {
                calls += 1;
                println!("call {calls}: {} tokens", usage.total_tokens());
            }
            RunEvent::ToolStarted { name, .. } => println!("{name} is called"),
            RunEvent::ToolCompleted { name, is_error, .. } => println!("{name} is done, failed: {is_error}"),
            RunEvent::RunCompleted { agent, .. } => println!("{agent} has the last word"),
            // What is said is in some events. `Debug` shows its length.
            other => println!("{other:?}"),
        })
        .build()?;

    let result = runner.run("/tool weather {\"name\": \"Rome\"}").await?;
    runner.hooks_caught_up().await; // Runs do not wait for hooks; the end of a program may.
    println!("\n{}", result.output);
    Ok(())
}
