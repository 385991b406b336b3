//! One agent asks another, and hands the conversation over to a third, which keeps it.
//!
//! `cargo run -p letterhead --example handoff`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use futures_util::StreamExt;
use letterhead::{Agent, RunEvent, Runner};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = Runner::with_agents([
        Agent::new("triage")
            .with_instructions("Find out who can help.")
            .with_delegate("research")
            .with_handoff("billing"),
        Agent::new("research").with_description("Finds facts.").with_instructions("Answer with sources."),
        Agent::new("billing").with_description("Invoices and payments.").with_instructions("You handle billing."),
    ])
    .build()?;

    let mut stream = runner.run("/ask research Who wrote the first invoice?\n/handoff billing").stream();
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
    println!();

    // The result can be stored between the two.
    let stored = serde_json::to_string(&first)?;
    let second = runner.run("Where is my invoice?").previous(&serde_json::from_str(&stored)?).await?;
    println!("{} goes on: {}", second.current_agent, second.output);
    Ok(())
}
