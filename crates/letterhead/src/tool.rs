//! Tools: what an agent's model may call.

mod function;
mod http;
mod mcp;
mod state;

use std::fmt;

use async_trait::async_trait;
use letterhead_context::{RequestContext, VariableValues};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::model::ToolSpec;

pub use function::FunctionTool;
pub use http::{HttpTool, HttpToolPlace};
pub(crate) use http::{PreparedHttpTool, prepare_http_tool};
pub(crate) use mcp::{Listing, McpPool, McpTool, PreparedMcpServer, Unusable, mcp_arguments, prepare_mcp_servers};
pub use mcp::{McpServer, McpServerPlace};
pub use state::{MAX_STATE_BYTES, State, StateTooLarge};

/// What a tool knows of the turn that calls it. The model chooses the arguments, and nothing in here.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// Who asks, with which headers.
    pub request: RequestContext,
    /// The session's shared object.
    pub state: State,
    /// The context variables that the tool [needs](Tool::variables), for templates.
    pub variables: VariableValues,
    /// Fires when the turn is cancelled.
    pub cancelled: CancellationToken,
    /// The id that the model gave the call.
    pub call_id: Arc<str>,
}

/// A tool's failure, told to the model as the result of the call. The run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError(String);

impl ToolError {
    /// A failure in words that the model can act on. Nothing secret belongs in here.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ToolError {}

/// Something that a model may call.
#[async_trait]
pub trait Tool: Send + Sync {
    /// The tool as the model is told of it.
    fn spec(&self) -> &Arc<ToolSpec>;

    /// May a call change something outside? Once one has run, a failed turn is not to be repeated blindly.
    fn has_effects(&self) -> bool {
        true
    }

    /// The names of the context variables that a call needs. They are fetched before it is made; if one is not to be had,
    /// the call is not made, and the model is told why.
    fn variables(&self) -> &[Arc<str>] {
        &[]
    }

    /// Calls the tool with the arguments' JSON text, as the model wrote it.
    ///
    /// # Errors
    ///
    /// In words for the model.
    async fn call(&self, arguments: &str, context: ToolContext) -> Result<String, ToolError>;
}
