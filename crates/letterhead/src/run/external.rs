//! Asking an agent on another machine. It is a child as others are, but for this: nothing of the request behind the turn
//! reaches it that its configuration does not name.

use std::sync::Arc;

use letterhead_context::Values;

use super::answer::ToolCall;
use super::event::{Events, RunEvent, Said};
use super::tool_calls::{Made, Round};
use crate::model::Usage;
use crate::tool::{PreparedExternalAgent, ToolError};

/// Asks an external agent. Cancelling the turn ends the waiting, and tells the agent. `said` is told what it says.
pub(super) async fn ask(
    round: &Round<'_>,
    agent: &PreparedExternalAgent,
    input: &str,
    call: &ToolCall,
    said: &Arc<Said>,
) -> Made {
    let events = round.events.of_child(&agent.endpoint.name, &call.id).gathered(said);
    let mut made = Made::default();
    let done = tokio::select! {
        biased;
        done = try_ask(round, agent, input, &events, &mut made) => done,
        () = round.shared.cancelled.cancelled() => Err(ToolError::new(format!("{} was interrupted.", agent.endpoint.name))),
    };
    made.trail.extend(round.shared.variables.take_trail());
    match done {
        Ok(text) => Made { text, ..made },
        Err(error) => Made { text: error.to_string(), is_error: true, ..made },
    }
}

async fn try_ask(
    round: &Round<'_>,
    agent: &PreparedExternalAgent,
    input: &str,
    events: &Events,
    made: &mut Made,
) -> Result<String, ToolError> {
    let not_asked = |why: String| ToolError::new(format!("{} was not asked: {why}.", agent.endpoint.name));
    let registry = round.shared.registry;
    let Some(fetching) = &registry.fetching else {
        return Err(not_asked("there is no client for it".to_owned()));
    };
    let found = round.shared.values(&agent.endpoint.variables, round.context, &round.input.state).await;
    let variables = found.map_err(|none| ToolError::new(none.told()))?;
    let values = Values { state: Some(round.input.state.snapshot()), variables, ..Values::default() };
    let noted = made.trail.len();
    let reached = agent.reach(fetching, &registry.card_pool, round.context, &values, &mut made.trail);
    let reached = reached.map_err(|why| not_asked(why.to_string()))?;
    let by = || Arc::clone(&agent.endpoint.name);
    events.emit(|| RunEvent::RunStarted { agent: by() }).await;
    // It may have effects from the moment on at which it is asked, whatever comes of the waiting.
    made.had_effects = true;
    let asked = agent.ask(reached, input, events, round.context, made.trail.get_mut(noted..).unwrap_or_default()).await;
    made.had_effects = asked.was_asked;
    if asked.result.is_ok() {
        events.emit(|| RunEvent::RunCompleted { agent: by(), usage: Usage::default() }).await;
    }
    asked.result
}
