//! The tool calls of one answer: the agent's own in parallel, delegates and handoffs, and those that are the client's.

use std::sync::Arc;

use futures_util::future::join_all;
use letterhead_context::{RequestContext, TrailEntry, Values, VariableValues};
use tokio_util::task::AbortOnDropHandle;

use super::answer::{ToolCall, tool_message};
use super::children;
use super::event::{Events, RunEvent};
use super::mcp::McpOffer;
use super::outcome::RunInput;
use super::turn::{NoValues, Shared};
use crate::model::Usage;
use crate::registry::{Callable, Prepared};
use crate::tool::{PreparedHttpTool, Tool, ToolContext, ToolError};

/// One answer's calls, and what they need.
pub(super) struct Round<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) context: &'a RequestContext,
    pub(super) agent: &'a Prepared,
    /// The tools of its MCP servers.
    pub(super) mcp: Option<&'a McpOffer>,
    pub(super) input: &'a RunInput,
    pub(super) events: &'a Events,
    pub(super) depth: u32,
}

/// What came of the calls.
#[derive(Default)]
pub(super) struct Handling {
    /// The results as messages, in the order of the calls. Every call has one, but the client's.
    pub(super) results: Vec<String>,
    pub(super) handed_to: Option<Arc<str>>,
    pub(super) client_calls: Vec<ToolCall>,
    pub(super) usage: Usage,
    pub(super) had_effects: bool,
    pub(super) trail: Vec<TrailEntry>,
}

/// What came of one call.
#[derive(Default)]
pub(super) struct Made {
    /// The result as the model is told of it.
    pub(super) text: String,
    pub(super) is_error: bool,
    /// What a child cost.
    pub(super) usage: Usage,
    /// What a child sent out.
    pub(super) trail: Vec<TrailEntry>,
    pub(super) had_effects: bool,
}

impl NoValues {
    /// For the model whose call needed them.
    fn told(&self) -> String {
        match self {
            Self::Cancelled => "The call was interrupted.".to_owned(),
            Self::Unavailable(unavailable) => format!("The call was not made: {unavailable}."),
        }
    }
}

impl Made {
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true, ..Self::default() }
    }
}

impl Round<'_> {
    /// Makes all calls at once; handoffs last. Ends soon after a cancellation, with what was done until then.
    pub(super) async fn handle(&self, calls: &[ToolCall]) -> Handling {
        let mut handling = Handling::default();
        let (mut work, mut handoffs) = (Vec::new(), Vec::new());
        for (at, call) in calls.iter().enumerate() {
            if self.input.client_tools.iter().any(|spec| spec.name() == &*call.name) {
                handling.client_calls.push(call.clone());
                continue;
            }
            self.started(call).await;
            match self.agent.calls.get(&call.name) {
                Some(Callable::Handoff(target)) if call.whole => handoffs.push((at, call, target)),
                callable => work.push(async move { (at, call, self.make(call, callable).await) }),
            }
        }
        let mut results = Vec::with_capacity(calls.len());
        for (at, call, made) in join_all(work).await {
            handling.usage += made.usage;
            handling.had_effects |= made.had_effects;
            handling.trail.extend(made.trail);
            results.push((at, tool_message(&call.id, &made.text)));
        }
        for (at, call, target) in handoffs {
            let made = self.hand_over(target, &mut handling.handed_to);
            self.completed(call, &made).await;
            results.push((at, tool_message(&call.id, &made.text)));
        }
        results.sort_unstable_by_key(|(at, _)| *at);
        handling.results = results.into_iter().map(|(_, message)| message).collect();
        handling
    }

    async fn make(&self, call: &ToolCall, callable: Option<&Callable>) -> Made {
        let made = match callable {
            _ if !call.whole => {
                Made::error("The answer reached its limit of tokens before this call was whole: it was not made.")
            }
            Some(Callable::Tool(tool)) => self.call_tool(tool, call).await,
            Some(Callable::HttpTool(tool)) => self.call_http(tool, call).await,
            Some(Callable::AskAgent) => children::ask(self, call).await,
            Some(Callable::Handoff(_)) | None => match self.mcp.filter(|offer| offer.has(&call.name)) {
                Some(offer) => self.call_mcp(offer, call).await,
                None => Made::error(self.unknown()),
            },
        };
        self.completed(call, &made).await;
        made
    }

    /// Calls a tool in a task of its own, so that it runs beside the others and a panic stays there.
    async fn call_tool(&self, tool: &Arc<dyn Tool>, call: &ToolCall) -> Made {
        let variables = match self.variables_of(&**tool).await {
            Ok(variables) => variables,
            Err(why) => return Made { trail: self.shared.variables.take_trail(), ..Made::error(why) },
        };
        let context = ToolContext {
            request: self.context.clone(),
            state: self.input.state.clone(),
            variables,
            cancelled: self.shared.cancelled.clone(),
            call_id: Arc::clone(&call.id),
        };
        let had_effects = tool.has_effects();
        let (tool, arguments) = (Arc::clone(tool), Arc::clone(&call.arguments));
        let task = AbortOnDropHandle::new(tokio::spawn(async move { tool.call(&arguments, context).await }));
        let made = tokio::select! {
            biased;
            done = task => match done {
                Ok(Ok(text)) => Made::ok(text),
                Ok(Err(error)) => Made::error(error.to_string()),
                // It panicked: the words are for the program's own log.
                Err(_) => Made::error("The tool failed."),
            },
            () = self.shared.cancelled.cancelled() => Made::error("The call was interrupted."),
        };
        Made { had_effects, trail: self.shared.variables.take_trail(), ..made }
    }

    /// Calls an HTTP tool.
    async fn call_http(&self, tool: &PreparedHttpTool, call: &ToolCall) -> Made {
        let mut made = Made::default();
        let done = tokio::select! {
            biased;
            done = self.try_http(tool, call, &mut made) => done,
            () = self.shared.cancelled.cancelled() => Err(ToolError::new("The call was interrupted.")),
        };
        made.trail.extend(self.shared.variables.take_trail());
        match done {
            Ok(text) => Made { text, ..made },
            Err(error) => Made { text: error.to_string(), is_error: true, ..made },
        }
    }

    async fn try_http(&self, tool: &PreparedHttpTool, call: &ToolCall, made: &mut Made) -> Result<String, ToolError> {
        let args = Some(tool.arguments(&call.arguments)?);
        let found = self.shared.values(&tool.variables, self.context, &self.input.state).await;
        let variables = found.map_err(|none| ToolError::new(none.told()))?;
        let values = Values { state: Some(self.input.state.snapshot()), variables, args, ..Values::default() };
        let request = tool.request(self.context, &values, &mut made.trail)?;
        let Some(fetching) = &self.shared.registry.fetching else {
            return Err(ToolError::new("The call was not made: there is no client for it."));
        };
        made.had_effects = tool.has_effects;
        tool.send(&fetching.client, request, self.context, &mut made.trail).await
    }

    /// The context variables that a tool needs. If one is not to be had the call is not made; the model is told why.
    async fn variables_of(&self, tool: &dyn Tool) -> Result<VariableValues, String> {
        let registry = self.shared.registry;
        let needs: Vec<usize> = tool.variables().iter().filter_map(|name| registry.variable(name)).collect();
        let found = self.shared.values(&needs, self.context, &self.input.state).await;
        found.map_err(|none| none.told())
    }

    fn unknown(&self) -> String {
        let theirs = self.mcp.into_iter().flat_map(|offer| &offer.specs);
        let there: Vec<&str> =
            self.agent.specs.iter().chain(theirs).chain(&self.input.client_tools).map(|spec| spec.name()).collect();
        match there.as_slice() {
            [] => "There is no tool of this name. There are no tools.".to_owned(),
            there => format!("There is no tool of this name. There are: {}", there.join(", ")),
        }
    }

    fn hand_over(&self, target: &Arc<str>, handed_to: &mut Option<Arc<str>>) -> Made {
        if let Some(first) = handed_to {
            return Made::error(format!(
                "The conversation was handed over already, to {first}, which was named first."
            ));
        }
        if let Some(missing) = children::missing_header(self, target) {
            return Made::error(format!(
                "{target} cannot take over: it needs the header `{missing}`, which was not sent."
            ));
        }
        *handed_to = Some(Arc::clone(target));
        Made::ok(format!("{target} has the conversation now."))
    }

    async fn started(&self, call: &ToolCall) {
        let event = || RunEvent::ToolStarted {
            id: Arc::clone(&call.id),
            name: Arc::clone(&call.name),
            arguments: Arc::clone(&call.arguments),
        };
        self.events.emit(event).await;
    }

    async fn completed(&self, call: &ToolCall, made: &Made) {
        let event = || RunEvent::ToolCompleted {
            id: Arc::clone(&call.id),
            name: Arc::clone(&call.name),
            result: Arc::from(made.text.as_str()),
            is_error: made.is_error,
        };
        self.events.emit(event).await;
    }
}
