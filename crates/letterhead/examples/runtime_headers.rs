//! Headers of one run: they are on every LLM call that it makes, and on no other run's.
//!
//! `cargo run -p letterhead --example runtime_headers`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod shown;

use letterhead::{Agent, Runner};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::new("Assistant").with_instructions("You are a helpful assistant");
    let runner = Runner::with_agents([agent]).provider(shown::provider()).default_model("shown:demo").build()?;

    let headers = [("X-Request-ID", "req-456"), ("X-User-ID", "user-789")];
    let result = runner.run("What's the weather?").headers(headers)?.await?;
    shown::print_trail(&result);

    // What no request can carry is an error at once, before anything was sent.
    let refused = runner.run("Hello!").header("X-Request-ID", "two\nlines");
    println!("{}", refused.err().map(|error| error.to_string()).unwrap_or_default());
    Ok(())
}
