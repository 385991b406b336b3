//! A conversation that waits for approvals and is to wait no longer.

use std::sync::Arc;

use letterhead::run::unanswered;
use letterhead_context::Problem;
use letterhead_store::{NewMessage, Role, SessionKey, Status, TurnRecord};

use super::conversation::new_message_id;
use super::waiting::waits;
use crate::app::App;
use crate::error::store_problem;

/// Ends the waiting of a session's turn of this number: the calls are not made, and no answer that comes later makes them. No
/// model is asked. Nothing happens where the session does not wait, or in another turn.
///
/// # Errors
///
/// If another turn of the session runs for too long, or the store is away.
pub(crate) async fn abandon(app: &App, key: &SessionKey, number: u64) -> Result<(), Problem> {
    let unavailable = |error| store_problem(&error);
    let turn = app.store.begin(key, app.timing.turn_wait).await.map_err(unavailable)?;
    let Some(session) = turn.session().cloned() else { return Ok(()) };
    let Some((_, calls)) = waits(&session).filter(|(waiting, _)| *waiting == number) else { return Ok(()) };
    let mut record = TurnRecord::new(Arc::clone(&session.record.agent));
    record.asked_agent = Arc::clone(&session.record.asked_agent);
    record.mode = session.record.mode;
    record.client_id = session.record.client_id.clone();
    record.status = Status::Incomplete;
    record.continues = Some(number);
    let message = |call: letterhead::run::PendingApproval| {
        // It is no result: nothing goes on from here.
        NewMessage {
            status: Status::Incomplete,
            ..NewMessage::new(new_message_id(), Role::Tool, unanswered(&call.call_id))
        }
    };
    record.messages = calls.into_iter().map(message).collect();
    app.store.commit(turn, record).await.map_err(unavailable)?;
    Ok(())
}
