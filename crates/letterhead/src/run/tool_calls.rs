//! The tool calls of one answer: the agent's own in parallel, delegates and handoffs, and those that are the client's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use letterhead_context::{Problem, RequestContext, TrailEntry, Values, VariableValues};
use letterhead_store::ChildRun;
use tokio_util::task::AbortOnDropHandle;

use super::answer::{ToolCall, tool_message};
use super::approval::{AnsweredApproval, Decision, OpenCall, PendingApproval};
use super::children;
use super::event::{Events, RunEvent};
use super::mcp::McpOffer;
use super::outcome::RunInput;
use super::turn::Shared;
use crate::history::History;
use crate::model::Usage;
use crate::registry::{Callable, LOOKUP, Prepared};
use crate::tool::told::{MOST_TOLD, cut};
use crate::tool::{PreparedHttpTool, Tool, ToolContext, ToolError, mcp_arguments};

/// What the model is told of a call that needs approval where nobody can be asked for it.
const NOBODY_TO_ASK: &str =
    "This call needs a person's approval, and nobody can be asked for it here: it was not made.";

/// What the model is told of an approved call that was begun before, when nothing was stored of what came of it.
const NOT_KNOWN: &str = "This call was approved and begun before, and the server was stopped before its result was stored: \
                         whether it was made is not known. It is not made again. Look whether it had its effect before you \
                         try anew.";

/// One answer's calls, and what they need.
pub(super) struct Round<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) context: &'a RequestContext,
    pub(super) agent: &'a Prepared,
    /// The tools of its MCP servers.
    pub(super) mcp: Option<&'a McpOffer>,
    /// What the model was sent of the conversation, where that is bounded.
    pub(super) history: Option<&'a History>,
    pub(super) input: &'a RunInput,
    pub(super) events: &'a Events,
    pub(super) depth: u32,
    /// Are these the calls of an earlier run's answer? Then only those are made that somebody has decided.
    pub(super) goes_on: bool,
}

/// What came of the calls.
#[derive(Default)]
pub(super) struct Handling {
    /// The results, in the order of the calls. Every call has one, but the client's, those that wait, and handoffs behind
    /// those.
    pub(super) results: Vec<CallResult>,
    pub(super) handed_to: Option<Arc<str>>,
    pub(super) client_calls: Vec<ToolCall>,
    /// The calls that wait for a person.
    pub(super) approvals: Vec<PendingApproval>,
    /// Those that waited, and are decided.
    pub(super) answered: Vec<AnsweredApproval>,
    /// The ids of those of an earlier answer of which nobody has said anything, and that wait for nobody.
    pub(super) left: Vec<Arc<str>>,
    /// Why an approved call could not even be begun: it waits on.
    pub(super) failed: Option<Problem>,
    pub(super) usage: Usage,
    /// The agents that were asked.
    pub(super) children: Vec<ChildRun>,
    pub(super) had_effects: bool,
    pub(super) trail: Vec<TrailEntry>,
}

/// The result of a call, as a message.
pub(super) struct CallResult {
    pub(super) body: String,
    /// Is it of a call that a person decided? It must not be open again, whatever comes.
    pub(super) is_decided: bool,
}

/// What came of one call.
#[derive(Default)]
pub(super) struct Made {
    /// The result as the model is told of it.
    pub(super) text: String,
    pub(super) is_error: bool,
    /// What a child cost.
    pub(super) usage: Usage,
    /// What a child said and did, where one was asked.
    pub(super) child: Option<ChildRun>,
    /// What a child sent out.
    pub(super) trail: Vec<TrailEntry>,
    pub(super) had_effects: bool,
}

impl CallResult {
    fn of(call: &ToolCall, text: &str, is_decided: bool) -> Self {
        Self { body: tool_message(&call.id, text), is_decided }
    }
}

impl Made {
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true, ..Self::default() }
    }

    /// It panicked: the words are for the program's own log.
    pub(super) fn failed() -> Self {
        Self::error("The tool failed.")
    }

    pub(super) fn given_up(time: Duration) -> Self {
        Self::error(format!("The tool did not answer within {} seconds, and was given up.", time.as_secs()))
    }
}

impl Round<'_> {
    /// Makes all calls at once; handoffs last. Ends soon after a cancellation, with what was done until then.
    ///
    /// Calls that need approval wait for it, and handoffs for them.
    pub(super) async fn handle(&self, calls: &[OpenCall]) -> Handling {
        let mut handling = Handling::default();
        let (mut made, mut handoffs, mut results) = (Vec::new(), Vec::new(), Vec::with_capacity(calls.len()));
        for (at, open) in calls.iter().enumerate() {
            let call = &open.call;
            let callable = self.agent.calls.get(&call.name);
            if self.input.client_tools.iter().any(|spec| spec.name() == &*call.name) {
                handling.client_calls.push(call.clone());
                continue;
            }
            match (&open.decision, callable) {
                (None | Some(Decision::Approved), Some(Callable::Handoff(target))) if call.whole => {
                    handoffs.push((at, call, target));
                }
                // Nothing is begun any more: it waits on.
                (Some(Decision::Approved), _) if self.shared.cancelled.is_cancelled() => {
                    handling.approvals.push(open.pending());
                    continue;
                }
                (Some(decision), _) => match self.decided(open, decision).await {
                    Ok(None) => made.push((at, call, callable)),
                    Ok(Some(told)) => results.push((at, CallResult::of(call, &told, true))),
                    Err(problem) => {
                        handling.failed = Some(problem);
                        handling.approvals.push(open.pending());
                        continue;
                    }
                },
                (None, _) if call.whole && self.input.can_pause && self.needs_approval(call, callable) => {
                    // Nobody is asked for what could not be made. Who was asked already is not asked for nothing.
                    match misfit(call, callable).filter(|_| !self.goes_on) {
                        Some(why) => {
                            let told = Made::error(why.to_string());
                            self.started(call).await;
                            self.completed(call, &told).await;
                            results.push((at, CallResult::of(call, &told.text, false)));
                        }
                        None => handling.approvals.push(open.pending()),
                    }
                }
                // Nobody has said anything of it.
                (None, _) if self.goes_on => handling.left.push(Arc::clone(&call.id)),
                (None, _) => made.push((at, call, callable)),
            }
            if let Some(decision) = &open.decision {
                let approved = !matches!(decision, Decision::Refused(_));
                handling.answered.push(AnsweredApproval { call: open.pending(), approved });
            }
        }
        if !handling.approvals.is_empty() || handling.failed.is_some() {
            handoffs.clear();
        }
        let mut starting: Vec<_> = made.iter().map(|(at, call, _)| (*at, *call)).collect();
        starting.extend(handoffs.iter().map(|(at, call, _)| (*at, *call)));
        starting.sort_unstable_by_key(|(at, _)| *at);
        for (_, call) in starting {
            self.started(call).await;
        }
        let making = made.into_iter().map(|(at, call, callable)| async move {
            let is_decided = calls.get(at).is_some_and(|open| open.decision.is_some());
            (at, call, is_decided, self.make(call, callable, is_decided).await)
        });
        for (at, call, is_decided, made) in join_all(making).await {
            handling.usage += made.usage;
            handling.children.extend(made.child);
            handling.had_effects |= made.had_effects;
            handling.trail.extend(made.trail);
            results.push((at, CallResult::of(call, &made.text, is_decided)));
        }
        for (at, call, target) in handoffs {
            let made = self.hand_over(target, &mut handling.handed_to);
            self.completed(call, &made).await;
            results.push((at, CallResult::of(call, &made.text, false)));
        }
        results.sort_unstable_by_key(|(at, _)| *at);
        handling.results = results.into_iter().map(|(_, result)| result).collect();
        handling
    }

    /// What becomes of a call that somebody has decided: it is made, or the model is told why not.
    async fn decided(&self, open: &OpenCall, decision: &Decision) -> Result<Option<String>, Problem> {
        let told = match decision {
            Decision::Approved => match (self.out_of_reach(&open.call.name), &self.input.approved) {
                // As long as the tool's server is away the call waits on.
                (Some(why), _) => return Err(why.clone()),
                (None, Some(approved)) if !approved.begin(&open.approval).await? => Some(NOT_KNOWN.to_owned()),
                (None, _) => None,
            },
            Decision::Impossible(why) => Some(why.clone()),
            Decision::Refused(None) => Some("A person refused this call: it was not made.".to_owned()),
            Decision::Refused(Some(why)) => {
                Some(format!("A person refused this call: it was not made. The person's reason: {why}"))
            }
        };
        let approved = !matches!(decision, Decision::Refused(_));
        let event = || RunEvent::ApprovalAnswered {
            id: Arc::clone(&open.approval),
            call_id: Arc::clone(&open.call.id),
            name: Arc::clone(&open.call.name),
            approved,
        };
        self.events.emit(event).await;
        if let Some(told) = told.as_ref().filter(|_| approved) {
            self.started(&open.call).await;
            self.completed(&open.call, &Made::error(told.clone())).await;
        }
        Ok(told)
    }

    fn needs_approval(&self, call: &ToolCall, callable: Option<&Callable>) -> bool {
        match callable {
            Some(Callable::Tool(tool)) => tool.needs_approval(),
            Some(Callable::HttpTool(tool)) => tool.needs_approval,
            Some(Callable::Handoff(_) | Callable::AskAgent | Callable::Lookup) => false,
            // A call that waited for a server that is away waits on.
            None if self.goes_on && self.out_of_reach(&call.name).is_some() => true,
            None => self.mcp.is_some_and(|offer| offer.needs_approval(&call.name)),
        }
    }

    /// Why a tool is not there that may be one of an MCP server which is away.
    fn out_of_reach(&self, name: &str) -> Option<&Problem> {
        self.mcp.filter(|_| !self.agent.calls.contains_key(name))?.missing(name)
    }

    async fn make(&self, call: &ToolCall, callable: Option<&Callable>, is_approved: bool) -> Made {
        let made = match callable {
            _ if !call.whole => {
                Made::error("The answer reached its limit of tokens before this call was whole: it was not made.")
            }
            _ if !is_approved && self.needs_approval(call, callable) => Made::error(NOBODY_TO_ASK),
            Some(Callable::Tool(tool)) => self.call_tool(tool, call).await,
            Some(Callable::HttpTool(tool)) => self.call_http(tool, call).await,
            Some(Callable::AskAgent) => children::ask(self, call).await,
            Some(Callable::Lookup) => self.look_up(call, true).await,
            Some(Callable::Handoff(_)) | None => match self.mcp.filter(|offer| offer.has(&call.name)) {
                // Boxed: it needs more room than any other call.
                Some(offer) => Box::pin(self.call_mcp(offer, call)).await,
                None if *call.name == *LOOKUP && self.has_history() => self.look_up(call, false).await,
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
        let (had_effects, tool_time) = (tool.has_effects(), self.shared.limits.tool_time);
        let (tool, arguments) = (Arc::clone(tool), Arc::clone(&call.arguments));
        let task = AbortOnDropHandle::new(tokio::spawn(async move { tool.call(&arguments, context).await }));
        let made = tokio::select! {
            biased;
            done = task => match done {
                Ok(Ok(text)) => Made::ok(cut(text, MOST_TOLD)),
                Ok(Err(error)) => Made::error(cut(error.to_string(), MOST_TOLD)),
                Err(_) => Made::failed(),
            },
            () = self.shared.cancelled.cancelled() => Made::error("The call was interrupted."),
            () = tokio::time::sleep(tool_time) => Made::given_up(tool_time),
        };
        Made { had_effects, trail: self.shared.variables.take_trail(), ..made }
    }

    /// Calls an HTTP tool.
    async fn call_http(&self, tool: &PreparedHttpTool, call: &ToolCall) -> Made {
        let mut made = Made::default();
        let done = {
            let calling = pin!(self.try_http(tool, call, &mut made));
            tokio::select! {
                biased;
                done = calling => done,
                () = self.shared.cancelled.cancelled() => Err(ToolError::new("The call was interrupted.")),
            }
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
        let Some(fetching) = &self.shared.registry.fetching else {
            return Err(ToolError::new("The call was not made: there is no client for it."));
        };
        let request = tool.request(fetching, self.context, &values, &mut made.trail).await?;
        made.had_effects = tool.has_effects;
        tool.send(fetching, request, self.context, &mut made.trail).await
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
        let there = self.agent.specs.iter().chain(theirs).chain(&self.input.client_tools).map(|spec| spec.name());
        let lookup = (self.has_history() && !self.agent.calls.contains_key(LOOKUP)).then_some(LOOKUP);
        let there: Vec<&str> = there.chain(lookup).collect();
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

/// Why a call cannot be made as the model wrote it, as far as can be said before it is tried: a tool of the program's own and
/// an MCP server read their arguments themselves.
fn misfit(call: &ToolCall, callable: Option<&Callable>) -> Option<ToolError> {
    match callable {
        Some(Callable::HttpTool(tool)) => tool.arguments(&call.arguments).err(),
        Some(_) => None,
        None => mcp_arguments(&call.arguments).err(),
    }
}
