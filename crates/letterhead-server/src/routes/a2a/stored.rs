//! Tasks as the store has them: a turn, and those that went on with it.

use std::collections::HashMap;
use std::sync::Arc;

use letterhead::run::PendingApproval;
use letterhead_context::Problem;
use letterhead_store::{
    ChildRun, MAX_PAGE, Message as Stored, Owner, Page, TurnDetail, TurnFilter, TurnId, TurnStatus, TurnSummary, Usage,
};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::content;
use super::task::{About, Artifact, By, Message, Part, Role, State, Status, Task, text_of};
use crate::app::App;
use crate::error::store_problem;
use crate::turn::{asked, waits};

/// A task that is stored, and what a message for it has to know.
pub(super) struct StoredTask {
    pub(super) task: Task,
    /// Its turns, oldest first.
    pub(super) turns: Vec<TurnSummary>,
    /// The number of the turn in which it waits for somebody.
    pub(super) waits: Option<u64>,
}

/// Finds a task of a caller's. None where there is none, or it is somebody else's.
///
/// # Errors
///
/// If the store is away.
pub(super) async fn find(app: &App, owner: &Owner, id: TurnId) -> Result<Option<StoredTask>, Problem> {
    let unavailable = |error| store_problem(&error);
    let Some(first) = app.store.turn(owner, id).await.map_err(unavailable)? else { return Ok(None) };
    if first.summary.continues.is_some() {
        // A part of a task is none.
        return Ok(None);
    }
    let mut turns = vec![first];
    let filter = TurnFilter { continues: Some(id), ..TurnFilter::default() };
    let later = app.store.turns(owner, &filter, &Page::first(MAX_PAGE)).await.map_err(unavailable)?;
    for summary in later.data.into_iter().rev() {
        turns.extend(app.store.turn(owner, summary.id).await.map_err(unavailable)?);
    }
    let Some(last) = turns.last().map(|turn| turn.summary.clone()) else { return Ok(None) };
    let mut waiting = None;
    if last.status == TurnStatus::Paused {
        let session = app.store.session(&owner.session(last.session.clone())).await.map_err(unavailable)?;
        let is_part = |number: u64| turns.iter().any(|turn| turn.summary.number == number);
        waiting = session.as_deref().and_then(|session| {
            let (number, _) = waits(session).filter(|(number, _)| is_part(*number))?;
            Some((number, asked(session, &app.registry)))
        });
    }
    let waits = waiting.as_ref().map(|(number, _)| *number);
    let task = task(&turns, &last, waiting.as_ref().map(|(_, calls)| calls.as_slice()));
    Ok(Some(StoredTask { task, turns: turns.into_iter().map(|turn| turn.summary).collect(), waits }))
}

/// A task without its contents, by the last of its turns.
pub(super) fn bare(last: &TurnSummary, state: State) -> Task {
    let (id, context_id): (Arc<str>, Arc<str>) = (last.task().to_string().into(), last.session.as_str().into());
    let status = status(last, state, None, &id, &context_id);
    Task {
        id,
        context_id,
        status,
        artifacts: None,
        history: Vec::new(),
        metadata: About { agent: last.agent.clone(), usage: last.usage.map(Into::into) },
    }
}

/// Puts a task together out of its turns.
fn task(turns: &[TurnDetail], last: &TurnSummary, waiting: Option<&[PendingApproval]>) -> Task {
    let first = turns.first().map_or(last.id, |turn| turn.summary.id);
    let (id, context): (Arc<str>, Arc<str>) = (first.to_string().into(), last.session.as_str().into());
    let mut said = Said::default();
    let mut history = Vec::new();
    for (before, turn) in turns.iter().enumerate() {
        said.next_turn(before + 1);
        for message in &turn.messages {
            match message.role {
                letterhead_store::Role::User => history.extend(sent(&message.id, &message.body, &id, &context)),
                letterhead_store::Role::Assistant => said.answer(message, &turn.children),
                letterhead_store::Role::System | letterhead_store::Role::Tool => {}
            }
        }
    }
    let status = status(last, state(last, waiting.is_some()), waiting, &id, &context);
    let usages: Vec<Usage> = turns.iter().filter_map(|turn| turn.summary.usage).collect();
    let usage = usages.into_iter().reduce(|one, two| one + two);
    let agent = turns.iter().rev().find_map(|turn| turn.summary.agent.clone());
    Task {
        id,
        context_id: context,
        status,
        artifacts: Some(said.artifacts),
        history,
        metadata: About { agent, usage: usage.map(Into::into) },
    }
}

/// The state of a task after the last of its turns. `waits` is whether one that is paused waits for an answer still.
pub(super) fn state(last: &TurnSummary, waits: bool) -> State {
    match last.status {
        TurnStatus::Paused if waits => State::InputRequired,
        TurnStatus::Complete if !last.asked => State::Completed,
        TurnStatus::Failed => State::Failed,
        // The conversation went on without what it waited for.
        TurnStatus::Paused | TurnStatus::Complete | TurnStatus::Incomplete => State::Canceled,
        _ => State::Working,
    }
}

/// Where a task stands after the last of its turns, and why.
fn status(
    last: &TurnSummary,
    state: State,
    waiting: Option<&[PendingApproval]>,
    task: &Arc<str>,
    context: &Arc<str>,
) -> Status {
    let told = last.error.as_ref().map(|error| &*error.message);
    let message = match (state, waiting) {
        (State::InputRequired, Some([])) => Some(remark(NOTHING_TO_APPROVE, task, context)),
        (State::InputRequired, Some(calls)) => Some(question(calls, told, task, context)),
        // Of turns of earlier versions it is not known.
        (State::Failed, _) => Some(remark(told.unwrap_or("the turn failed"), task, context)),
        (State::Canceled, _) => {
            Some(remark(told.unwrap_or("broken off before the answer was complete"), task, context))
        }
        _ => None,
    };
    Status { state, message, timestamp: last.ended_at_ms.unwrap_or(last.began_at_ms) }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    refusal: Option<String>,
    tool_calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
}

impl Body<'_> {
    fn text(&self) -> String {
        let mut text = self.content.map(text_of).unwrap_or_default();
        text.push_str(self.refusal.as_deref().unwrap_or_default());
        text
    }
}

/// What was said in a task, as its artifacts are numbered.
#[derive(Default)]
struct Said {
    artifacts: Vec<Artifact>,
    names: Names,
    /// The children of the turn that is looked at, that were told of.
    told: HashMap<Arc<str>, usize>,
}

impl Said {
    fn next_turn(&mut self, number: usize) {
        self.names = Names::of_turn(number);
        self.told.clear();
    }

    /// An answer, and what the agents said that it asked.
    fn answer(&mut self, message: &Stored, children: &[ChildRun]) {
        let body: Body<'_> = serde_json::from_str(&message.body).unwrap_or_default();
        let text = body.text();
        if !text.is_empty() {
            let agent = message.agent.clone().unwrap_or_default();
            self.artifacts.push(self.names.answer(agent, text));
        }
        for call in body.tool_calls {
            let before = self.told.entry(call.id.as_str().into()).or_default();
            // Models use the ids of calls again.
            let asked = children.iter().filter(|child| *child.call_id == *call.id).nth(*before);
            if let Some(child) = asked {
                *before += 1;
                self.child(child, "");
            }
        }
    }

    fn child(&mut self, child: &ChildRun, path: &str) {
        let path = self.names.child(path, &child.call_id);
        for message in &child.messages {
            let body: Body<'_> = serde_json::from_str(&message.body).unwrap_or_default();
            let text = body.text();
            if message.role == letterhead_store::Role::Assistant && !text.is_empty() {
                let (agent, call_id) = (Arc::clone(&child.agent), Arc::clone(&child.call_id));
                self.artifacts.push(self.names.of_child(&path, agent, call_id, text));
            }
        }
        for grandchild in &child.children {
            self.child(grandchild, &path);
        }
    }
}

/// The ids of a task's artifacts. The same task gets the same ones, whether it is followed or read later.
#[derive(Default)]
pub(super) struct Names {
    prefix: String,
    answers: usize,
    /// How often an agent was asked by a call of an id, and how much it has said, by the way to it.
    counts: HashMap<String, usize>,
}

impl Names {
    /// Those of a task's turn of this number, from 1.
    pub(super) fn of_turn(number: usize) -> Self {
        let prefix = if number > 1 { format!("turn-{number}/") } else { String::new() };
        Self { prefix, ..Self::default() }
    }

    /// The next answer of the agent that has the conversation.
    pub(super) fn answer(&mut self, agent: Arc<str>, text: String) -> Artifact {
        self.answers += 1;
        let id = format!("{}answer/{}", self.prefix, self.answers);
        Artifact::new(id, "answer".into(), text, By { agent, call_id: None })
    }

    /// The way to an agent that was asked by this call, by one that was asked so itself.
    pub(super) fn child(&mut self, path: &str, call_id: &str) -> String {
        let way = if path.is_empty() { format!("{}asked/{call_id}", self.prefix) } else { format!("{path}/{call_id}") };
        let times = self.counts.entry(format!("{way}#")).or_default();
        *times += 1;
        if *times == 1 { way } else { format!("{way}~{times}") }
    }

    /// The next answer of an agent that was asked.
    pub(super) fn of_child(&mut self, path: &str, agent: Arc<str>, call_id: Arc<str>, text: String) -> Artifact {
        let said = self.counts.entry(path.to_owned()).or_default();
        *said += 1;
        let name = Arc::clone(&agent);
        Artifact::new(format!("{path}/{said}"), name, text, By { agent, call_id: Some(call_id) })
    }
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

/// What the client sent, by the message in OpenAI's form.
pub(super) fn sent(id: &Arc<str>, body: &str, task: &Arc<str>, context: &Arc<str>) -> Option<Message> {
    let asked: Asked<'_> = serde_json::from_str(body).ok()?;
    Some(Message {
        message_id: Arc::clone(id),
        context_id: Arc::clone(context),
        task_id: Arc::clone(task),
        role: Role::User,
        parts: content::written(asked.content),
    })
}

/// A few words on where a task stands.
pub(super) fn remark(text: &str, task: &Arc<str>, context: &Arc<str>) -> Message {
    agent_message(vec![Part::text(text)], task, context)
}

/// Said of a task that waits for what nobody can be asked any more: its tool has gone from the configuration.
const NOTHING_TO_APPROVE: &str =
    "What this task waited for cannot be approved any more: send it a message to go on without that, or cancel it.";

/// What a task waits for: which calls are to be approved. `failed` is why an answer that was given could not be followed.
pub(super) fn question(
    calls: &[PendingApproval],
    failed: Option<&str>,
    task: &Arc<str>,
    context: &Arc<str>,
) -> Message {
    let names: Vec<String> = calls.iter().map(|call| format!("`{}`", call.name)).collect();
    let failed = failed.map_or_else(String::new, |why| format!("The task could not go on: {why}. "));
    let text = format!(
        "{failed}Approval is needed to call {}. Answer on this task with a data part {{\"approvals\": [{{\"id\", \"approved\", \
         \"reason\"}}]}}.",
        names.join(", ")
    );
    agent_message(vec![Part::text(text), Part::data(json!({ "approvals": calls }))], task, context)
}

fn agent_message(parts: Vec<Part>, task: &Arc<str>, context: &Arc<str>) -> Message {
    Message {
        message_id: format!("{task}-status").into(),
        context_id: Arc::clone(context),
        task_id: Arc::clone(task),
        role: Role::Agent,
        parts,
    }
}
