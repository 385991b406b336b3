//! Context headers: declared once, checked, and delivered only where a template names them.
//!
//! `cargo run -p letterhead --example context_headers`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod shown;

use letterhead::{Agent, HeaderSchema, Runner};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = HeaderSchema::compile(&json!({
        "required": ["user_id"],
        "properties": {
            "user_id": { "type": "string", "maxLength": 64 },
            "auth_token": { "type": "string", "writeOnly": true }, // A secret: no model, log or trail shows it.
            "org_name": { "type": "string", "default": "Acme" },
        },
    }))?;

    let agent = Agent::new("assistant")
        .with_instructions("You help {{ headers.user_id }} of {{ headers.org_name }}.")
        .with_header("X-Org", "{{ headers.org_name }}")
        .with_header("Authorization", "Bearer {{ headers.auth_token }}");
    let runner =
        Runner::with_agents([agent]).headers(schema).provider(shown::provider()).default_model("shown:demo").build()?;

    let headers = [("User-Id", "u_1"), ("auth_token", "a-secret-token")];
    let result = runner.run("Hello!").context_headers(headers).await?;
    shown::print_trail(&result);
    println!("{}\n", result.output);

    // Every fault at once, and never a value.
    let refused = runner.run("Hello!").context_headers([("org-nane", "Acme"), ("user_id", &"x".repeat(65))]).await;
    println!("{}", refused.err().map(|error| error.to_string()).unwrap_or_default());

    // Without the token the call is not made.
    let refused = runner.run("Hello!").context_header("user_id", "u_1").await;
    println!("{}", refused.err().map(|error| error.to_string()).unwrap_or_default());
    Ok(())
}
