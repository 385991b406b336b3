//! Tools that are functions of the program, with arguments typed by `schemars`.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Tool, ToolContext, ToolError};
use crate::model::{ToolSpec, ToolSpecError};

/// A tool that is an async function of the program.
///
/// ```
/// use letterhead::tool::{FunctionTool, ToolContext, ToolError};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct City {
///     /// The city's name.
///     name: String,
/// }
///
/// let weather = FunctionTool::new("get_weather", "Tells the weather.", |city: City, _context: ToolContext| async move {
///     Ok::<_, ToolError>(format!("It is sunny in {}.", city.name))
/// })?;
/// # Ok::<(), letterhead::model::ToolSpecError>(())
/// ```
pub struct FunctionTool<A, F> {
    spec: Arc<ToolSpec>,
    function: F,
    has_effects: bool,
    needs_approval: bool,
    arguments: PhantomData<fn(A)>,
}

impl<A, F, R, O> FunctionTool<A, F>
where
    A: DeserializeOwned + JsonSchema + Send,
    F: Fn(A, ToolContext) -> R + Send + Sync,
    R: Future<Output = Result<O, ToolError>> + Send,
    O: Serialize,
{
    /// Makes a tool of a function. The schema of its arguments comes from their type.
    ///
    /// # Errors
    ///
    /// If providers do not take the name.
    pub fn new(name: &str, description: &str, function: F) -> Result<Self, ToolSpecError> {
        let parameters = schemars::schema_for!(A).to_value();
        let spec = Arc::new(ToolSpec::new(name, Some(description), parameters)?);
        Ok(Self { spec, function, has_effects: true, needs_approval: false, arguments: PhantomData })
    }

    /// Says that a call changes nothing outside, so that a failed turn may be repeated.
    #[must_use]
    pub fn without_effects(mut self) -> Self {
        self.has_effects = false;
        self
    }

    /// Lets a call be made only when a person has approved it: see [`Tool::needs_approval`].
    #[must_use]
    pub fn with_approval(mut self) -> Self {
        self.needs_approval = true;
        self
    }
}

impl<A, F> fmt::Debug for FunctionTool<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool").field("name", &self.spec.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl<A, F, R, O> Tool for FunctionTool<A, F>
where
    A: DeserializeOwned + JsonSchema + Send,
    F: Fn(A, ToolContext) -> R + Send + Sync,
    R: Future<Output = Result<O, ToolError>> + Send,
    O: Serialize,
{
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn has_effects(&self) -> bool {
        self.has_effects
    }

    fn needs_approval(&self) -> bool {
        self.needs_approval
    }

    async fn call(&self, arguments: &str, context: ToolContext) -> Result<String, ToolError> {
        // Models say "nothing" in several ways.
        let text = if matches!(arguments.trim(), "" | "null") { "{}" } else { arguments };
        let arguments: A = serde_json::from_str(text)
            .map_err(|error| ToolError::new(format!("the arguments do not fit the tool's parameters: {error}")))?;
        let output = (self.function)(arguments, context).await?;
        match serde_json::to_value(output) {
            Ok(serde_json::Value::String(text)) => Ok(text),
            Ok(other) => Ok(other.to_string()),
            Err(_) => Err(ToolError::new("the tool's result cannot be written as JSON")),
        }
    }
}
