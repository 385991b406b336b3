//! Headers of an agent are on all its LLM calls.
//!
//! `cargo run -p letterhead --example agent_headers`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod shown;

use letterhead::{Agent, Runner};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::new("Assistant")
        .with_instructions("You are a helpful assistant")
        .with_header("X-Custom-ID", "agent-123")
        .with_header("X-Environment", "production");

    let runner = Runner::with_agents([agent]).provider(shown::provider()).default_model("shown:demo").build()?;
    let result = runner.run("Hello!").await?;

    shown::print_trail(&result);
    println!("{}", result.output);
    Ok(())
}
