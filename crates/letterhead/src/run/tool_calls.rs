//! The tool calls of one answer: the agent's own in parallel, delegates and handoffs, and those that are the client's.

use std::sync::Arc;

use letterhead_context::{RequestContext, TrailEntry};
use tokio::task::JoinSet;

use super::answer::{ToolCall, tool_message};
use super::children;
use super::event::{Events, RunEvent};
use super::turn::{RunInput, Shared};
use crate::model::Usage;
use crate::registry::{Callable, Prepared};
use crate::tool::ToolContext;

/// One answer's calls, and what they need.
pub(super) struct Round<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) context: &'a RequestContext,
    pub(super) agent: &'a Prepared,
    pub(super) input: &'a RunInput,
    pub(super) events: &'a Events,
    pub(super) depth: u32,
}

/// What came of the calls.
#[derive(Default)]
pub(super) struct Handling {
    /// The results as messages, in the order of the calls.
    pub(super) results: Vec<(Arc<str>, String)>,
    pub(super) handed_to: Option<Arc<str>>,
    pub(super) client_calls: Vec<ToolCall>,
    pub(super) usage: Usage,
    pub(super) had_effects: bool,
    pub(super) trail: Vec<TrailEntry>,
    pub(super) cancelled: bool,
}

/// A result as the model is told of it.
pub(super) struct ToolResult {
    pub(super) text: String,
    pub(super) is_error: bool,
}

impl ToolResult {
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: false }
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true }
    }
}

impl Round<'_> {
    pub(super) async fn handle(&self, calls: &[ToolCall]) -> Handling {
        let mut handling = Handling::default();
        let mut results: Vec<Option<ToolResult>> = calls.iter().map(|_| None).collect();
        let mut running = JoinSet::new();
        let mut asked = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let result = match self.agent.calls.get(&call.name) {
                _ if self.input.client_tools.iter().any(|spec| spec.name() == &*call.name) => {
                    handling.client_calls.push(call.clone());
                    continue;
                }
                Some(Callable::Tool(tool)) => {
                    self.started(call).await;
                    handling.had_effects |= tool.has_effects();
                    let (tool, arguments) = (Arc::clone(tool), Arc::clone(&call.arguments));
                    let context = ToolContext {
                        request: self.context.clone(),
                        state: self.input.state.clone(),
                        cancelled: self.shared.cancelled.clone(),
                        call_id: Arc::clone(&call.id),
                    };
                    running.spawn(async move { (at, tool.call(&arguments, context).await) });
                    continue;
                }
                Some(Callable::AskAgent) => {
                    self.started(call).await;
                    asked.push((at, call));
                    continue;
                }
                Some(Callable::Handoff(target)) => {
                    self.started(call).await;
                    self.hand_over(target, &mut handling)
                }
                None => {
                    self.started(call).await;
                    let there = self.agent.specs.iter().map(|spec| spec.name()).collect::<Vec<_>>().join(", ");
                    ToolResult::error(format!("There is no tool of this name. There are: {there}"))
                }
            };
            self.put(&mut results, at, call, result).await;
        }
        let work = async {
            let tools = async {
                let mut done = Vec::new();
                while let Some(joined) = running.join_next().await {
                    if let Ok((at, result)) = joined {
                        let result = match result {
                            Ok(text) => ToolResult::ok(text),
                            Err(error) => ToolResult::error(error.to_string()),
                        };
                        if let Some(call) = calls.get(at) {
                            self.completed(call, &result).await;
                        }
                        done.push((at, result));
                    }
                }
                done
            };
            let children = futures_util::future::join_all(asked.iter().map(|(at, call)| async move {
                let answer = children::ask(self, call).await;
                self.completed(call, &answer.result).await;
                (*at, answer)
            }));
            tokio::join!(tools, children)
        };
        let (tools, children) = tokio::select! {
            biased;
            () = self.shared.cancelled.cancelled() => {
                handling.cancelled = true;
                (Vec::new(), Vec::new())
            }
            done = work => done,
        };
        for (at, result) in tools {
            set(&mut results, at, result);
        }
        for (at, answer) in children {
            handling.usage += answer.usage;
            handling.had_effects |= answer.had_effects;
            handling.trail.extend(answer.trail);
            set(&mut results, at, answer.result);
        }
        for (call, result) in calls.iter().zip(results) {
            if handling.client_calls.iter().any(|client| client.id == call.id) {
                continue;
            }
            // A task that is gone has panicked, or was cut off with the turn.
            let result = match result {
                Some(result) => result,
                None => {
                    let failed = ToolResult::error("The tool failed.");
                    self.completed(call, &failed).await;
                    failed
                }
            };
            handling.results.push((Arc::clone(&call.id), tool_message(&call.id, &result.text)));
        }
        handling
    }

    fn hand_over(&self, target: &Arc<str>, handling: &mut Handling) -> ToolResult {
        if handling.handed_to.is_some() {
            return ToolResult::error("The conversation was handed over already, to the agent named first.");
        }
        if let Some(missing) = children::missing_header(self, target) {
            return ToolResult::error(format!("{target} cannot take over: it needs the header `{missing}`, which was not sent."));
        }
        handling.handed_to = Some(Arc::clone(target));
        ToolResult::ok(format!("{target} has the conversation now."))
    }

    async fn started(&self, call: &ToolCall) {
        let event = || RunEvent::ToolStarted {
            id: Arc::clone(&call.id),
            name: Arc::clone(&call.name),
            arguments: Arc::clone(&call.arguments),
        };
        self.events.emit(event).await;
    }

    async fn completed(&self, call: &ToolCall, result: &ToolResult) {
        let event = || RunEvent::ToolCompleted {
            id: Arc::clone(&call.id),
            name: Arc::clone(&call.name),
            result: Arc::from(result.text.as_str()),
            is_error: result.is_error,
        };
        self.events.emit(event).await;
    }

    async fn put(&self, results: &mut [Option<ToolResult>], at: usize, call: &ToolCall, result: ToolResult) {
        self.completed(call, &result).await;
        set(results, at, result);
    }
}

fn set(results: &mut [Option<ToolResult>], at: usize, result: ToolResult) {
    if let Some(slot) = results.get_mut(at) {
        *slot = Some(result);
    }
}
