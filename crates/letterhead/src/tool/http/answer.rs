//! From an API's answer to the result of a call.

use letterhead_context::{CarriedSecrets, NotSent};
use serde_json::Value;

use crate::outbound::{OutboundFault, WholeAnswer};
use crate::tool::ToolError;
use crate::variable::Reading;

/// The most bytes of a result that a model is told. More would fill its context with what nobody reads.
const MOST_TOLD: usize = 64 * 1024;

/// The text that the model is told. Of an answer that is no success it is told the status alone; what the call carried is
/// taken out, for an API may repeat it.
pub(super) fn result(reading: &Reading, answer: &WholeAnswer, carried: &CarriedSecrets) -> Result<String, ToolError> {
    let status = answer.status;
    if !status.is_success() {
        let reason = status.canonical_reason().map_or_else(String::new, |reason| format!(" ({reason})"));
        return Err(ToolError::new(format!("The API answered with status {}{reason}.", status.as_u16())));
    }
    if answer.body.is_empty() && reading.select.is_none() {
        return Ok(format!("Done: the API answered with status {} and no content.", status.as_u16()));
    }
    let mut value = reading
        .value(&answer.headers, &answer.body)
        .map_err(|unread| ToolError::new(format!("The API was called, but {unread}.")))?;
    carried.remove_from(&mut value);
    Ok(told(match value {
        Value::String(text) => text,
        other => other.to_string(),
    }))
}

fn told(text: String) -> String {
    if text.len() <= MOST_TOLD {
        return text;
    }
    let end = text.floor_char_boundary(MOST_TOLD);
    let beginning = text.get(..end).unwrap_or_default();
    format!("{beginning}\n[Cut here: these are the first {end} of {} bytes.]", text.len())
}

/// The call was not made.
pub(super) fn not_sent(why: &NotSent) -> ToolError {
    ToolError::new(format!("The call was not made: {why}."))
}

/// The call brought no answer.
pub(super) fn failed(fault: &OutboundFault) -> ToolError {
    ToolError::new(format!("The call failed: {}.", fault.reason()))
}
