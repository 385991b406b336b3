//! A conversation kept in a database of your own: the result is one text, which goes on where it ended.
//!
//! `cargo run -p letterhead --example own_database`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use letterhead::{
    Agent, Caller, CallerSource, FunctionTool, RunResult, Runner, TenantId, ToolContext, ToolError, UserId,
};
use rusqlite::{Connection, OptionalExtension, params};
use schemars::JsonSchema;
use serde::Deserialize;

/// Conversations belong to users: the id alone finds nothing.
struct Conversations(Connection);

impl Conversations {
    fn open() -> rusqlite::Result<Self> {
        let database = Connection::open_in_memory()?; // A file, in a real program.
        let table =
            "CREATE TABLE conversation (user TEXT, id TEXT, result TEXT NOT NULL, PRIMARY KEY (user, id)) STRICT";
        database.execute(table, [])?;
        Ok(Self(database))
    }

    fn load(&self, user: &str, id: &str) -> Result<Option<RunResult>, Box<dyn std::error::Error>> {
        let select = "SELECT result FROM conversation WHERE user = ?1 AND id = ?2";
        let kept: Option<String> = self.0.query_row(select, params![user, id], |row| row.get(0)).optional()?;
        Ok(kept.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    fn store(&self, user: &str, id: &str, result: &RunResult) -> Result<(), Box<dyn std::error::Error>> {
        // No secret, no runtime header and no token is in it. What people said is.
        let text = serde_json::to_string(result)?;
        let insert = "INSERT INTO conversation VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET result = excluded.result";
        self.0.execute(insert, params![user, id, text])?;
        Ok(())
    }
}

/// One turn: load, run, store. An application runs one turn of a conversation at a time, by a lock or a transaction.
async fn turn(
    conversations: &Conversations,
    runner: &Runner,
    (user, id): (&str, &str),
    message: &str,
) -> Result<RunResult, Box<dyn std::error::Error>> {
    let caller = Caller::new(TenantId::default(), Some(UserId::new(user)), CallerSource::Token);
    let mut run = runner.run(message).caller(caller).session(id)?.header("X-Conversation-ID", id)?; // For this run's calls.
    if let Some(earlier) = conversations.load(user, id)? {
        run = run.previous(&earlier);
    }
    let result = run.await?;
    conversations.store(user, id, &result)?;
    Ok(result)
}

#[derive(Deserialize, JsonSchema)]
struct Item {
    name: String,
}

/// Tools keep what they want in the state, which is part of the result.
async fn add_to_cart(item: Item, context: ToolContext) -> Result<String, ToolError> {
    let mut cart = context.state.get("cart").and_then(|cart| cart.as_array().cloned()).unwrap_or_default();
    cart.push(item.name.into());
    let count = cart.len();
    context.state.set("cart", cart.into())?;
    Ok(format!("There are {count} things in the cart."))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = Runner::with_agents([
        Agent::new("shop")
            .with_instructions("The cart of {{ caller.user_id }}: {{ state.cart | join(', ') }}.")
            .with_tool(FunctionTool::new("add_to_cart", "Puts something into the cart.", add_to_cart)?)
            .with_handoff("checkout"),
        Agent::new("checkout").with_instructions("{{ caller.user_id }} pays for: {{ state.cart | join(', ') }}."),
    ])
    .build()?;
    let conversations = Conversations::open()?;
    let ada = ("ada", "order-1");
    turn(&conversations, &runner, ada, "/tool add_to_cart {\"name\": \"a book\"}").await?;
    turn(&conversations, &runner, ada, "/tool add_to_cart {\"name\": \"a pen\"}").await?;
    turn(&conversations, &runner, ada, "/handoff checkout").await?;

    // Perhaps days later, in another process.
    let last = turn(&conversations, &runner, ada, "What do I owe?").await?;
    println!("{} has it: {}", last.current_agent, last.output);

    // The same id of another user is another conversation.
    let other = turn(&conversations, &runner, ("bob", "order-1"), "What do I owe?").await?;
    println!("{} has it: {}", other.current_agent, other.output);
    Ok(())
}
