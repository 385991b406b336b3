//! From an API's answer to the result of a call.

use std::fmt::Display;

use letterhead_context::CarriedSecrets;
use serde_json::Value;

use crate::outbound::{OutboundFault, WholeAnswer};
use crate::tool::ToolError;
use crate::tool::told::{MOST_TOLD, cut};
use crate::variable::Reading;

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
    let text = match value {
        Value::String(text) => text,
        // Quicker than its `Display`; both write any value.
        other => serde_json::to_string(&other).unwrap_or_default(),
    };
    Ok(cut(text, MOST_TOLD))
}

/// The call was not made.
pub(super) fn not_sent(why: &impl Display) -> ToolError {
    ToolError::new(format!("The call was not made: {why}."))
}

/// The call brought no answer.
pub(super) fn failed(fault: &OutboundFault) -> ToolError {
    ToolError::new(format!("The call failed: {}.", fault.reason()))
}
