//! Context variables: what an agent should know of its user, fetched once for the conversation.
//!
//! `cargo run -p letterhead --example context_variables`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod shown;

use letterhead::outbound::{EgressAllow, GuardOptions, GuardedClient};
use letterhead::{Agent, HeaderSchema, Runner, Variable};
use letterhead_testkit::ScriptedApi;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An API on this machine, so that the example runs by itself.
    let api = ScriptedApi::start().await;
    api.on("/users/u_1").json(&json!({ "user": { "id": 7, "name": "Ada" } }));
    api.on("/orders").json(&json!([{ "id": "o_1" }, { "id": "o_2" }]));

    let schema = HeaderSchema::compile(&json!({
        "required": ["user_id"],
        "properties": { "user_id": { "type": "string" }, "auth_token": { "type": "string", "writeOnly": true } },
    }))?;

    // The token goes to the API, and to no other place. `orders` waits for `user`, for its address is made of it.
    let user = Variable::new("user", api.url("/users/{{ headers.user_id }}"))
        .with_header("Authorization", "Bearer {{ headers.auth_token }}")
        .with_select("user");
    let orders = Variable::new("orders", api.url("/orders?user={{ user.id }}")).with_select("[*].id").optional();

    // Calls out go to the public internet. An address of this machine has to be listed.
    let allow = EgressAllow::parse(&[api.host()])?;
    let runner = Runner::with_agents([Agent::new("assistant")
        .with_instructions("You help {{ user.name }}, whose orders are {{ orders | join(', ') }}.")])
    .headers(schema)
    .variable(user)
    .variable(orders)
    .guarded_client(GuardedClient::new(GuardOptions { allow, ..GuardOptions::default() })?)
    .provider(shown::provider())
    .default_model("shown:demo")
    .build()?;

    let headers = [("user_id", "u_1"), ("auth_token", "a-secret-token")];
    let first = runner.run("Who am I?").context_headers(headers).await?;
    shown::print_trail(&first);
    println!("{}\n", first.output);

    // The conversation keeps what was fetched, as long as its requests would be the same.
    let second = runner.run("And now?").previous(&first).context_headers(headers).await?;
    shown::print_trail(&second);
    println!("The API was asked {} times.", api.requests().len());
    Ok(())
}
