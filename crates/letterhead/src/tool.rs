//! Tools: what an agent's model may call.

mod endpoint;
mod external_agent;
mod function;
mod http;
mod json_rpc;
mod kept;
mod mcp;
mod state;
pub(crate) mod told;

use std::fmt;

use async_trait::async_trait;
use letterhead_context::{Caller, HeadersUnfit, RequestContext, VariableValues};
use serde::Deserialize;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::model::ToolSpec;

pub(crate) use external_agent::{CardPool, PreparedExternalAgent, prepare_external_agents};
pub use external_agent::{ExternalAgent, ExternalAgentPlace};
pub use function::FunctionTool;
pub use http::{HttpTool, HttpToolPlace};
pub(crate) use http::{PreparedHttpTool, prepare_http_tool};
pub(crate) use mcp::{Listing, McpPool, McpTool, PreparedMcpServer, Unusable, mcp_arguments, prepare_mcp_servers};
pub use mcp::{McpServer, McpServerPlace};
pub use state::{MAX_STATE_BYTES, State, StateTooLarge};

/// What a tool knows of the turn that calls it. The model chooses the arguments, and nothing in here.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

impl ToolContext {
    /// A context without a turn, to try a tool in a test.
    ///
    /// ```
    /// use letterhead::{Caller, Headers, RequestContext, ToolContext};
    ///
    /// let request = RequestContext::builder(Caller::anonymous(), Headers::none()).build("assistant");
    /// assert!(ToolContext::new(request).state.get("cart").is_none());
    /// ```
    pub fn new(request: RequestContext) -> Self {
        Self {
            request,
            state: State::default(),
            variables: VariableValues::default(),
            cancelled: CancellationToken::new(),
            call_id: Arc::from("call"),
        }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        self.request.caller()
    }

    /// The context headers as a type of the program, secrets among them: see [`Headers::typed`](crate::Headers::typed).
    ///
    /// ```
    /// use letterhead::{FunctionTool, Secret, ToolContext, ToolError};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct AppHeaders {
    ///     user_id: u64,
    ///     auth_token: Secret,
    /// }
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Nothing {}
    ///
    /// async fn list_orders(_: Nothing, context: ToolContext) -> Result<String, ToolError> {
    ///     let headers: AppHeaders = context.headers()?;
    ///     let bearer = headers.auth_token.reveal_text(); // For the call that the tool makes.
    ///     Ok(format!("Orders of {}: {}", headers.user_id, bearer.len()))
    /// }
    /// FunctionTool::new("list_orders", "Lists the user's orders.", list_orders)?;
    /// # Ok::<(), letterhead::model::ToolSpecError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a field has no value and needs one, or the value is not of its type. It names the header and no value; with `?` it
    /// becomes the result that the model sees.
    pub fn headers<'a, T: Deserialize<'a>>(&'a self) -> Result<T, HeadersUnfit> {
        self.request.headers().typed()
    }
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

impl From<HeadersUnfit> for ToolError {
    fn from(unfit: HeadersUnfit) -> Self {
        Self(unfit.to_string())
    }
}

impl From<StateTooLarge> for ToolError {
    fn from(error: StateTooLarge) -> Self {
        Self(error.to_string())
    }
}

/// Something that a model may call. A [`FunctionTool`] is one with little to write; this is for tools that are not known
/// before the program runs, or whose arguments are no type of it.
///
/// ```
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use letterhead::model::{ToolSpec, ToolSpecError};
/// use letterhead::{Agent, Runner, Tool, ToolContext, ToolError};
/// use serde_json::json;
///
/// struct Query {
///     spec: Arc<ToolSpec>,
///     table: &'static str,
/// }
///
/// impl Query {
///     fn of(table: &'static str) -> Result<Self, ToolSpecError> {
///         let parameters = json!({ "type": "object", "properties": { "id": { "type": "integer" } } });
///         let spec = Arc::new(ToolSpec::new(&format!("find_{table}"), Some("Finds a row."), parameters)?);
///         Ok(Self { spec, table })
///     }
/// }
///
/// #[async_trait]
/// impl Tool for Query {
///     fn spec(&self) -> &Arc<ToolSpec> {
///         &self.spec
///     }
///
///     fn has_effects(&self) -> bool {
///         false
///     }
///
///     async fn call(&self, arguments: &str, context: ToolContext) -> Result<String, ToolError> {
///         // What a model wrote is what anybody may have written. The caller is not.
///         let arguments: serde_json::Value = serde_json::from_str(arguments).map_err(|_| ToolError::new("Write JSON."))?;
///         Ok(format!("{} {} of {}", self.table, arguments["id"], context.caller().tenant()))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = ["order", "invoice"].into_iter().try_fold(Agent::new("desk"), |agent, table| {
///     Ok::<_, ToolSpecError>(agent.with_tool(Query::of(table)?))
/// })?;
/// let result = Runner::with_agents([agent]).build()?.run("/tool find_order {\"id\": 7}").await?;
/// assert!(result.output.contains("order 7 of default"));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[async_trait]
pub trait Tool: Send + Sync {
    /// The tool as the model is told of it.
    fn spec(&self) -> &Arc<ToolSpec>;

    /// May a call change something outside? Once one has run, a failed turn is not to be repeated blindly.
    fn has_effects(&self) -> bool {
        true
    }

    /// Does a call need a person's approval? It is then made only when somebody has said so: the run ends, and says in its
    /// outcome which call waits. Where nobody can be asked, as in a delegate, it is not made.
    fn needs_approval(&self) -> bool {
        false
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
