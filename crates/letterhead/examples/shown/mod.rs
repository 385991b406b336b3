//! A provider for the examples: it prints the headers of each call, and answers as the built-in demo model does.
//!
//! It also shows what a model of one's own takes: one method.

use std::sync::Arc;

use async_trait::async_trait;
use letterhead::model::{ChatModel, DemoModel, ModelCall, ModelError, ModelStream};
use letterhead::{Provider, ProviderKind, RunResult};

struct Shown(DemoModel);

#[async_trait]
impl ChatModel for Shown {
    async fn call(&self, call: ModelCall) -> Result<ModelStream, ModelError> {
        println!("The model's API gets:");
        for (name, value) in &call.headers {
            println!("  {name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        self.0.call(call).await
    }
}

/// The provider `shown`. Its models are called `shown:ANYTHING`.
pub(crate) fn provider() -> Provider {
    Provider::new("shown", ProviderKind::OpenAi, Arc::new(Shown(DemoModel::new())))
}

/// Prints the trail: which header went where, from which layer, and what was left out.
pub(crate) fn print_trail(result: &RunResult) {
    println!("The trail says:");
    for entry in &result.trail {
        let reason = entry.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let what = if entry.sent { "sent" } else { "left out" };
        println!("  {} of {} for {}: {what}{reason}", entry.header, entry.from, entry.destination);
    }
}
