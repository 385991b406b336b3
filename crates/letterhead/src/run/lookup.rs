//! The built-in tool `lookup`: shows what stands behind a key.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use serde::Deserialize;

use super::answer::ToolCall;
use super::tool_calls::{Made, Round};
use super::turn::RunLoop;
use crate::history::History;
use crate::model::ToolSpec;
use crate::registry::{LOOKUP, Prepared, lookup_arguments};
use crate::tool::told::{MOST_TOLD, cut};

/// The tool as a model is told of it that has nothing to look up but what was left out of its conversation.
static OF_HISTORY: LazyLock<Option<Arc<ToolSpec>>> = LazyLock::new(|| {
    let about = "Shows what was left out of this conversation. Where something was, a key stands, such as #14.";
    ToolSpec::new(LOOKUP, Some(about), lookup_arguments("The key, as it stands there.")).map(Arc::new).ok()
});

/// The arguments of `lookup`. None of them can name a caller or a conversation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    key: String,
}

impl RunLoop<'_> {
    /// The tool, where the conversation was shortened and the agent does not have it anyway.
    pub(super) fn lookup_offered(&self, prepared: &Prepared) -> Option<Arc<ToolSpec>> {
        let is_needed = self.history.as_ref().is_some_and(History::is_shortened);
        OF_HISTORY.clone().filter(|_| is_needed && !prepared.calls.contains_key(LOOKUP))
    }
}

impl Round<'_> {
    /// May the model look something up that was left out of its conversation?
    pub(super) fn has_history(&self) -> bool {
        self.history.is_some_and(History::is_shortened)
    }

    /// Looks a key up: one of this conversation first, which no document has, then among the documents, where the agent
    /// has these. The caller is that of the run, whatever the model says.
    pub(super) async fn look_up(&self, call: &ToolCall, has_documents: bool) -> Made {
        let Ok(Wanted { key }) = serde_json::from_str(&call.arguments) else {
            return Made::error("The arguments must be {\"key\": …}, and nothing else.");
        };
        match self.history.and_then(|history| history.look_up(&key, &self.input.messages)) {
            Some(Ok(text)) => return Made::ok(text),
            Some(Err(why)) => return Made::error(why),
            None if !has_documents => return Made::error("There is nothing under this key."),
            None => {}
        }
        let tool_time = self.shared.limits.tool_time;
        // The source may be the program's own: if it panics, the call fails, and no more than the call.
        let asking = AssertUnwindSafe(self.shared.registry.lookup.look_up(&key, self.context.caller())).catch_unwind();
        tokio::select! {
            biased;
            found = asking => match found {
                Ok(Ok(text)) => Made::ok(text),
                Ok(Err(error)) => Made::error(cut(error.to_string(), MOST_TOLD)),
                Err(_) => Made::failed(),
            },
            () = self.shared.cancelled.cancelled() => Made::error("The call was interrupted."),
            () = tokio::time::sleep(tool_time) => Made::given_up(tool_time),
        }
    }
}
