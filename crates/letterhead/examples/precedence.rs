//! Who wins: provider < agent < run, name by name, whatever the case.
//!
//! `cargo run -p letterhead --example precedence`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod shown;

use letterhead::{Agent, Runner};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::new("Assistant")
        .with_instructions("You are a helpful assistant")
        .with_header("X-Environment", "staging")
        .with_header("X-Agent-ID", "agent-001");
    let provider = shown::provider().with_api_key("the-provider's-own-key");
    let runner = Runner::with_agents([agent]).provider(provider).default_model("shown:demo").build()?;

    let result = runner
        .run("Hello!")
        .header("X-Environment", "production")? // Overrides the agent's value.
        .header("X-Request-ID", "req-123")? // Is added.
        .await?;
    shown::print_trail(&result);

    // A run may take a header away, and bring a credential of its own: a call never carries two.
    runner.run("Hello!").without_header("x-agent-id")?.header("Authorization", "Bearer mine")?.await?;
    Ok(())
}
