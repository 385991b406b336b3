//! Telling a server of an older revision that nobody waits for a call any more. In the newest one, closing the
//! connection says it.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::message::{Manner, Message};
use crate::tool::endpoint::Line;

const PATIENCE: Duration = Duration::from_secs(5);

/// A call that a server of an older revision is at. When it is dropped before it is [done](Self::done), the server is told.
pub(super) struct Waiting(Option<(Line, Manner, u64)>);

impl Waiting {
    pub(super) fn for_call(line: &Line, manner: &Manner, id: u64) -> Self {
        let is_older = matches!(manner, Manner::Handshake { .. });
        Self(is_older.then(|| (line.clone(), manner.clone(), id)))
    }

    /// The call is over.
    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (Some((line, manner, id)), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            let mut params = Map::new();
            params.insert("requestId".to_owned(), Value::from(id));
            let message = Message { id: None, method: "notifications/cancelled", params, name: None };
            line.tell(&manner, &message, PATIENCE).await;
        });
    }
}
