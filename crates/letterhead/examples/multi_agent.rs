//! One agent asks another, and hands the conversation over to a third, which keeps it. Each has headers of its own; those of
//! the run go along everywhere.
//!
//! `cargo run -p letterhead --example multi_agent`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod shown;

use futures_util::StreamExt;
use letterhead::{Agent, RunEvent, Runner};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = Runner::with_agents([
        Agent::new("triage")
            .with_instructions("Find out who can help.")
            .with_header("X-Agent-ID", "triage")
            .with_header("X-Queue", "front desk") // Of this agent alone: gone after the handoff.
            .with_delegate("research")
            .with_handoff("billing"),
        Agent::new("research").with_description("Finds facts.").with_header("X-Agent-ID", "research"),
        Agent::new("billing").with_description("Invoices and payments.").with_header("X-Agent-ID", "billing"),
    ])
    .provider(shown::provider())
    .default_model("shown:demo")
    .build()?;

    let question = "/ask research Who wrote the first invoice?\n/handoff billing";
    let mut stream = runner.run(question).header("X-Request-ID", "req-1")?.stream();
    while let Some(event) = stream.next().await {
        match event {
            RunEvent::Text(text) => print!("{text}"),
            RunEvent::Child { agent, event, .. } if matches!(*event, RunEvent::RunStarted { .. }) => {
                println!("[{agent} is asked]");
            }
            RunEvent::HandedOver { from, to } => println!("[{from} hands over to {to}]"),
            _ => {}
        }
    }
    let first = stream.result().await?;
    println!("\n");
    shown::print_trail(&first);

    // The conversation goes on with the agent that has it.
    let second = runner.run("Where is my invoice?").previous(&first).await?;
    println!("{} goes on: {}", second.current_agent, second.output);
    Ok(())
}
