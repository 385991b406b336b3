//! Tools are async functions. The model chooses the arguments; who asks is in the context, which it cannot choose.
//!
//! `cargo run -p letterhead --example tools`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use letterhead::{Agent, FunctionTool, Runner, ToolContext, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Order {
    /// The order's number.
    order_id: u32,
}

/// Looks an order up. An error is told to the model, which can do better then; the run goes on.
async fn get_order(order: Order, context: ToolContext) -> Result<serde_json::Value, ToolError> {
    if order.order_id == 0 {
        return Err(ToolError::new("Orders are numbered from 1."));
    }
    let seen = context.state.get("seen").and_then(|seen| seen.as_u64()).unwrap_or(0);
    // Kept for later tools, templates and turns.
    context.state.set("seen", (seen + 1).into())?;
    Ok(json!({ "order": order.order_id, "status": "shipped", "for": context.caller().tenant().as_str() }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tool = FunctionTool::new("get_order", "Looks an order up.", get_order)?.without_effects();
    let agent = Agent::new("shop").with_instructions("{{ state.seen }} orders seen so far.").with_tool(tool);
    let runner = Runner::with_agents([agent]).build()?;

    // The demo model calls the tools that it is told to call.
    let first = runner.run("/tool get_order {\"order_id\": 7}\n/tool get_order {\"order_id\": 0}").await?;
    println!("{}\n", first.output);
    let second = runner.run("And now?").previous(&first).await?;
    println!("{}\n", second.output);
    println!("The first run called the model twice: {} tokens in all.", first.usage.total_tokens());
    Ok(())
}
