//! An answer as it is kept: what is needed to tell it anew, streamed or whole.

use std::mem;
use std::sync::Arc;

use letterhead::model::{FinishReason, Usage};
use letterhead::run::{AnsweredApproval, Outcome, PendingApproval, RunEnd, RunEvent};
use letterhead_context::{Code, Problem, SessionId};
use letterhead_store::{NewMessage, Role, TurnId};
use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::turn::{Ended, Running};

/// A complete answer. What delegates said on the way and what the model thought are not part of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    stamp: Stamp,
    session: Option<SessionId>,
    /// What the turn is called.
    #[serde(default)]
    turn: Option<String>,
    /// The agent that answered first.
    first_agent: Arc<str>,
    /// The agent that has the conversation now.
    agent: Arc<str>,
    model: Arc<str>,
    finish: FinishReason,
    messages: Vec<Said>,
    output: String,
    refusal: String,
    client_calls: Vec<(Arc<str>, Arc<str>, Arc<str>)>,
    #[serde(default)]
    approvals: Vec<PendingApproval>,
    #[serde(default)]
    answered: Vec<AnsweredApproval>,
    usage: Usage,
}

/// A message of the run.
#[derive(Serialize, Deserialize)]
struct Said {
    id: Arc<str>,
    role: Role,
    agent: Option<Arc<str>>,
    usage: Option<Usage>,
    body: Arc<str>,
}

/// What a message's body says.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Body {
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Call {
    id: Arc<str>,
    function: Function,
}

#[derive(Serialize, Deserialize)]
struct Function {
    name: Arc<str>,
    arguments: Arc<str>,
}

impl Answer {
    /// What is kept of an outcome.
    pub(super) fn of(
        stamp: Stamp,
        session: Option<SessionId>,
        turn: Option<TurnId>,
        first_agent: Arc<str>,
        finish: FinishReason,
        outcome: &Outcome,
    ) -> Self {
        let messages = outcome.messages.iter();
        let messages = if session.is_some() {
            messages.map(|message| Said::of(message, Arc::clone(&message.body))).collect()
        } else {
            // Nothing is stored of this turn but its answer, and the client sees no tools of the agent's in it.
            messages.filter(|message| message.role == Role::Assistant).map(Said::without_calls).collect()
        };
        Self {
            stamp,
            session,
            turn: turn.map(|turn| turn.to_string()),
            first_agent,
            agent: Arc::clone(&outcome.agent),
            model: Arc::clone(&outcome.model),
            finish,
            messages,
            output: outcome.output.clone(),
            refusal: outcome.refusal.clone(),
            client_calls: outcome.client_calls.clone(),
            approvals: outcome.approvals.clone(),
            answered: outcome.answered.clone(),
            usage: outcome.usage,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Writing texts and numbers to memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads an answer that was kept.
    ///
    /// # Errors
    ///
    /// 500 for one that another version of the server has written otherwise.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes).map_err(|_| {
            let detail = "the request was answered, but another version of this server has kept the answer and this one \
                          cannot read it; to ask once more, send a new `Idempotency-Key`";
            Problem::new(Code::Internal, detail).with_should_retry(false)
        })
    }

    /// Tells it again, as a turn that has ended already.
    pub(super) fn again(self, stream: bool) -> (Stamp, Running) {
        let events = stream.then(|| self.events());
        let messages = self.messages.into_iter().map(Said::message).collect();
        let mut outcome = Outcome::new(RunEnd::Complete(self.finish), self.agent);
        outcome.messages = messages;
        outcome.output = self.output;
        outcome.refusal = self.refusal;
        outcome.client_calls = self.client_calls;
        outcome.approvals = self.approvals;
        outcome.answered = self.answered;
        outcome.usage = self.usage;
        outcome.model = self.model;
        let ended = Ended { outcome, problem: None, ended_at_ms: None };
        let turn = self.turn.as_deref().and_then(TurnId::parse);
        (self.stamp, Running::over(self.session, turn, self.first_agent, events, ended))
    }

    /// The events of the run, each text in one piece.
    fn events(&self) -> Vec<RunEvent> {
        let mut agent = Arc::clone(&self.first_agent);
        let mut events = vec![RunEvent::RunStarted { agent: Arc::clone(&agent) }];
        events.extend(self.answered.iter().map(|AnsweredApproval { call, approved }| RunEvent::ApprovalAnswered {
            id: Arc::clone(&call.id),
            call_id: Arc::clone(&call.call_id),
            name: Arc::clone(&call.name),
            approved: *approved,
        }));
        // The results that come before any answer are those of the calls that waited.
        let (mut step, mut calls) = (0, self.approved());
        for said in &self.messages {
            let body: Body = serde_json::from_str(&said.body).unwrap_or_default();
            if said.role == Role::Tool {
                let id = body.tool_call_id.unwrap_or_default();
                if let Some(call) = calls.iter().find(|call: &&Call| *call.id == *id) {
                    events.extend(call.made(&body.content.unwrap_or_default()));
                }
                continue;
            }
            hand_over(&mut agent, said.agent.as_ref(), &mut events);
            step += 1;
            events.push(RunEvent::ModelCallStarted { agent: Arc::clone(&agent), model: Arc::clone(&self.model), step });
            events.extend(body.content.filter(|text| !text.is_empty()).map(RunEvent::Text));
            events.extend(body.refusal.filter(|text| !text.is_empty()).map(RunEvent::Refusal));
            let usage = said.usage.unwrap_or_default();
            let finish = if body.tool_calls.is_empty() { self.finish } else { FinishReason::ToolCalls };
            events.push(RunEvent::ModelCallCompleted { agent: Arc::clone(&agent), usage, finish });
            calls = body.tool_calls;
        }
        hand_over(&mut agent, Some(&self.agent), &mut events);
        events.extend(self.client_calls.iter().enumerate().map(|(index, (id, name, arguments))| {
            let (id, name, arguments) = (Arc::clone(id), Arc::clone(name), Arc::clone(arguments));
            RunEvent::ClientToolCall { index, id, name, arguments }
        }));
        events.push(RunEvent::RunCompleted { agent, usage: self.usage });
        events
    }
}

impl Answer {
    /// The calls that waited and were approved.
    fn approved(&self) -> Vec<Call> {
        let approved = self.answered.iter().filter(|answered| answered.approved).map(|answered| &answered.call);
        let call = |PendingApproval { call_id, name, arguments, .. }: &PendingApproval| Call {
            id: Arc::clone(call_id),
            function: Function { name: Arc::clone(name), arguments: Arc::clone(arguments) },
        };
        approved.map(call).collect()
    }
}

/// Tells that another agent goes on, if another does.
fn hand_over(agent: &mut Arc<str>, next: Option<&Arc<str>>, events: &mut Vec<RunEvent>) {
    if let Some(next) = next.filter(|next| *next != agent) {
        let from = mem::replace(agent, Arc::clone(next));
        events.push(RunEvent::HandedOver { from, to: Arc::clone(next) });
    }
}

impl Call {
    fn made(&self, result: &str) -> [RunEvent; 2] {
        let (id, name) = (&self.id, &self.function.name);
        [
            RunEvent::ToolStarted {
                id: Arc::clone(id),
                name: Arc::clone(name),
                arguments: Arc::clone(&self.function.arguments),
            },
            RunEvent::ToolCompleted {
                id: Arc::clone(id),
                name: Arc::clone(name),
                result: result.into(),
                is_error: false,
            },
        ]
    }
}

impl Said {
    fn of(message: &NewMessage, body: Arc<str>) -> Self {
        let NewMessage { id, role, agent, usage, .. } = message;
        Self { id: Arc::clone(id), role: *role, agent: agent.clone(), usage: *usage, body }
    }

    fn without_calls(message: &NewMessage) -> Self {
        let body: Body = serde_json::from_str(&message.body).unwrap_or_default();
        let body = Body { tool_calls: Vec::new(), ..body };
        Self::of(message, serde_json::to_string(&body).unwrap_or_default().into())
    }

    fn message(self) -> NewMessage {
        let Self { id, role, agent, usage, body } = self;
        NewMessage { agent, usage, ..NewMessage::new(id, role, body) }
    }
}
