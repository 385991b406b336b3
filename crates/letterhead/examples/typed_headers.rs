//! Context headers as a type of the program: declared by it, read as it, and templates are checked against it.
//!
//! `cargo run -p letterhead --example typed_headers`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use letterhead::{Agent, FunctionTool, HeaderSchema, Runner, Secret, ToolContext, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a request may carry. `Option` need not be sent; a `Secret` shows itself to nobody.
#[derive(Deserialize, JsonSchema)]
struct AppHeaders {
    user_id: u64,
    #[schemars(length(max = 80))]
    org_name: Option<String>,
    #[serde(default)]
    plan: Plan,
    auth_token: Secret,
}

#[derive(Debug, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Plan {
    #[default]
    Free,
    Paid,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

async fn list_orders(_: Nothing, context: ToolContext) -> Result<String, ToolError> {
    let headers: AppHeaders = context.headers()?;
    // The token is for a call that the tool makes. `Debug` does not show it.
    let bearer = format!("Bearer {}", headers.auth_token.reveal_text());
    let AppHeaders { user_id, org_name, plan, auth_token } = headers;
    let org_name = org_name.unwrap_or_else(|| "no organisation".to_owned());
    Ok(format!("User {user_id} of {org_name}, {plan:?}, {auth_token:?}: a header of {} bytes", bearer.len()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = HeaderSchema::of::<AppHeaders>()?;
    let agent = Agent::new("shop")
        .with_instructions("You help user {{ headers.user_id }}, who is on the plan {{ headers.plan }}.")
        .with_tool(FunctionTool::new("list_orders", "Lists the user's orders.", list_orders)?);
    let runner = Runner::with_agents([agent.clone()]).headers(schema.clone()).build()?;

    let headers = [("User-Id", "7"), ("auth_token", "t_secret"), ("plan", "paid")];
    println!("{}\n", runner.run("/tool list_orders {}").context_headers(headers).await?.output);

    // What does not fit is refused before any call, all at once, and no value is repeated.
    let refused = runner.run("Hello!").context_headers([("user_id", "seven"), ("plan", "gold")]).await;
    println!("{}\n", refused.err().map(|error| error.to_string()).unwrap_or_default());

    // Templates are checked when the runner is built.
    let mistaken =
        agent.with_instructions("You help {{ headers.user }} of {{ headers.org_nmae }}: {{ headers.auth_token }}");
    for fault in Runner::with_agents([mistaken]).headers(schema).build().err().map(|error| error.0).unwrap_or_default()
    {
        println!("{fault}");
    }
    Ok(())
}
