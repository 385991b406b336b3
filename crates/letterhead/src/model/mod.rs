//! Models: one trait, and an adapter for each wire protocol that providers speak.
//!
//! A [`ModelCall`] holds everything of one call: the conversation as raw JSON in OpenAI's chat-completions form, the
//! tools, the params and the finished headers. A [`ChatModel`] turns it into a stream of [`ModelEvent`]s, whether the
//! provider streamed or not. Adapters never change a header: what egress decided is what goes out.

mod anthropic;
mod call;
mod demo;
mod error;
mod event;
mod json;
mod openai;
mod output_schema;
pub mod sse;
mod stream;
mod tool_spec;

use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;

pub use anthropic::Anthropic;
pub use call::ModelCall;
pub use demo::DemoModel;
pub use error::{ModelError, ModelErrorKind};
pub use event::{FinishReason, ModelEvent, Usage};
pub use openai::OpenAi;
pub use output_schema::OutputSchema;
pub use tool_spec::{ToolSpec, ToolSpecError};

/// The events of one answer. Ends after [`ModelEvent::Finish`] or after the first error.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send>>;

/// A chat model at one provider.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Calls the model.
    ///
    /// Dropping the returned future or the stream cancels the call: the connection is closed.
    ///
    /// # Errors
    ///
    /// Everything that happens before the first byte of a successful answer, after the adapter's own retries. What goes
    /// wrong later comes as the stream's last item. For a call without `stream` the whole answer is read here.
    async fn call(&self, call: ModelCall) -> Result<ModelStream, ModelError>;
}
