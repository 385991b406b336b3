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
pub(crate) use call::OWN_FIELDS;
pub use demo::DemoModel;
pub use error::{ModelError, ModelErrorKind};
pub use event::{FinishReason, ModelEvent, Usage};
pub use openai::OpenAi;
pub use output_schema::OutputSchema;
pub use tool_spec::{ToolSpec, ToolSpecError};

/// The events of one answer. Ends after [`ModelEvent::Finish`] or after the first error.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send>>;

/// A chat model at one provider, or one of the program's own.
///
/// ```
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use futures_util::stream;
/// use letterhead::model::{ChatModel, FinishReason, ModelCall, ModelError, ModelEvent, ModelStream};
/// use letterhead::{Agent, Provider, ProviderKind, Runner};
///
/// struct Counter;
///
/// #[async_trait]
/// impl ChatModel for Counter {
///     async fn call(&self, call: ModelCall) -> Result<ModelStream, ModelError> {
///         let text = format!("{} messages, {} headers", call.messages.len(), call.headers.len());
///         Ok(Box::pin(stream::iter([Ok(ModelEvent::Text(text)), Ok(ModelEvent::Finish(FinishReason::Stop))])))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let runner = Runner::with_agents([Agent::new("assistant").with_header("X-Team", "desk")])
///     .provider(Provider::new("own", ProviderKind::OpenAi, Arc::new(Counter)))
///     .default_model("own:counter")
///     .build()?;
/// assert_eq!(runner.run("Hello!").await?.output, "1 messages, 1 headers");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// One that panics fails the run that has called it, with [`UpstreamFailed`](letterhead_context::Code::UpstreamFailed).
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
