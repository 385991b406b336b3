//! Telling an agent that nobody waits for its answer any more. To close the connection does not say it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::time;

use super::card::Interface;
use super::dialect::Method;
use crate::tool::endpoint::Line;

const PATIENCE: Duration = Duration::from_secs(5);

/// A task that an agent is at. When it is dropped before it is [over](Self::over), the agent is told to cancel it.
pub(super) struct Running(Option<(Line, Arc<Interface>, String)>);

impl Running {
    pub(super) fn new(line: &Line, interface: &Arc<Interface>, task: &str) -> Self {
        Self(Some((line.clone(), Arc::clone(interface), task.to_owned())))
    }

    /// There is nothing to cancel any more.
    pub(super) fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some((line, interface, task)), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            let mut params = Map::new();
            params.insert("id".to_owned(), Value::from(task));
            let telling = line.call(&interface, Method::Cancel, params, PATIENCE);
            // Whether it is heard does not matter.
            if let Ok(Ok(replies)) = time::timeout(PATIENCE, telling).await {
                replies.release();
            }
        });
    }
}
