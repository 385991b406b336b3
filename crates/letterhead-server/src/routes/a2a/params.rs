//! What the methods are called with. What the protocol may have besides is passed over, `tenant` with it: who asks is never said
//! in a body.

use std::sync::Arc;

use letterhead::run::ApprovalAnswer;
use letterhead_context::{Problem, SessionId};
use letterhead_store::TurnId;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{Fault, Named};
use super::content;
use crate::members::{Members, wrong};
use crate::openai_message::kept_id;

/// A message, and how its answer is to come.
pub(super) struct Sent {
    /// The client's id for the message, if it can be kept.
    pub(super) message_id: Option<Arc<str>>,
    /// The conversation that it names.
    pub(super) context: Option<SessionId>,
    /// The task that it goes on with.
    pub(super) task: Option<TaskName>,
    /// What it says, in OpenAI's form. None where it does no more than answer what the task waits for.
    pub(super) content: Option<Value>,
    /// What it says of calls that wait for approval.
    pub(super) approvals: Vec<ApprovalAnswer>,
    /// Is the answer not waited for?
    pub(super) return_immediately: bool,
    /// How much of the history comes back.
    pub(super) history_length: Option<usize>,
    /// The types of content that the client takes. Empty are all.
    pub(super) accepted: Vec<String>,
}

/// A task as a client names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskName(Option<TurnId>);

impl TaskName {
    fn parse(text: &str) -> Self {
        Self(TurnId::parse(text))
    }

    /// What the task would be found by. A name that this server cannot have made names no task.
    pub(super) fn id(self) -> Result<TurnId, Fault> {
        self.0.ok_or_else(Fault::no_task)
    }
}

impl Sent {
    /// Reads the parameters of `SendMessage` and `SendStreamingMessage`.
    pub(super) fn read(params: &Members<'_>, request_id: &str) -> Result<Self, Fault> {
        let configuration = object(params, "configuration", "/params/configuration");
        let configuration = configuration.map_err(|problem| Fault::of(problem, request_id))?.unwrap_or_default();
        if configuration
            .raw("taskPushNotificationConfig")
            .or_else(|| configuration.raw("pushNotificationConfig"))
            .is_some()
        {
            return Err(no_push());
        }
        Self::read_message(params, &configuration).map_err(|problem| Fault::of(problem, request_id))
    }

    fn read_message(params: &Members<'_>, configuration: &Members<'_>) -> Result<Self, Problem> {
        let message = object(params, "message", "/params/message")?;
        let message = message.ok_or_else(|| wrong("/params/message", "a message"))?;
        let text = |name: &str| -> Result<Option<String>, Problem> {
            let text =
                message.get::<String>(name, "").map_err(|_| wrong(&format!("/params/message/{name}"), "a string"))?;
            // The protocol's own form of JSON has no difference between an empty text and none.
            Ok(text.filter(|text| !text.is_empty()))
        };
        let message_id =
            text("messageId")?.ok_or_else(|| wrong("/params/message/messageId", "an id for the message"))?;
        if text("role")?.as_deref() != Some("ROLE_USER") {
            return Err(wrong("/params/message/role", "`ROLE_USER`"));
        }
        let parts = message.list("parts").map_err(|_| wrong("/params/message/parts", "a list of parts"))?;
        let mut parts = parts.filter(|parts| !parts.is_empty());
        let task = text("taskId")?.map(|id| TaskName::parse(&id));
        let approvals = parts.as_mut().filter(|_| task.is_some()).map(take_approvals).transpose()?.unwrap_or_default();
        let content = match parts {
            Some(parts) if parts.is_empty() => None,
            Some(parts) => Some(content::read(&parts)?),
            None => return Err(wrong("/params/message/parts", "at least one part")),
        };
        Ok(Self {
            message_id: kept_id(&message_id),
            context: text("contextId")?.map(|id| SessionId::parse(&id)).transpose()?,
            task,
            content,
            approvals,
            return_immediately: configuration
                .get("returnImmediately", "")
                .map_err(|_| wrong("/params/configuration/returnImmediately", "true or false"))?
                .unwrap_or(false),
            history_length: history_length(configuration, "/params/configuration/historyLength")?,
            accepted: configuration
                .get("acceptedOutputModes", "")
                .map_err(|_| wrong("/params/configuration/acceptedOutputModes", "a list of media types"))?
                .unwrap_or_default(),
        })
    }
}

/// Takes the answers to what a task waits for out of a message's parts: the parts whose data has `approvals`.
///
/// # Errors
///
/// For such a part that is not right: as words for the agent it would go on without the call that was meant to be answered.
fn take_approvals(parts: &mut Vec<&RawValue>) -> Result<Vec<ApprovalAnswer>, Problem> {
    let (mut approvals, mut others) = (Vec::new(), Vec::with_capacity(parts.len()));
    for (at, raw) in parts.drain(..).enumerate() {
        let data = Members::read(raw.get().as_bytes()).ok().and_then(|part| part.raw("data"));
        // A member that stands twice is seen here too.
        let is_answer = data.is_some_and(|data| {
            serde_json::from_str::<Value>(data.get()).is_ok_and(|data| data.get("approvals").is_some())
        });
        match data.filter(|_| is_answer) {
            Some(data) => approvals.extend(answers(data, &format!("/params/message/parts/{at}/data"))?),
            None => others.push(raw),
        }
    }
    *parts = others;
    Ok(approvals)
}

fn answers(data: &RawValue, pointer: &str) -> Result<Vec<ApprovalAnswer>, Problem> {
    let members = Members::read(data.get().as_bytes()).map_err(|_| wrong(pointer, "an object, each member once"))?;
    if let Some((other, _)) = members.iter().find(|(name, _)| *name != "approvals") {
        return Err(wrong(pointer, &format!("`approvals` and nothing else, not `{other}`")));
    }
    let here = format!("{pointer}/approvals");
    let list = members.list("approvals").map_err(|_| wrong(&here, "a list of answers"))?.unwrap_or_default();
    if list.is_empty() {
        return Err(wrong(&here, "an answer for each call, or for some"));
    }
    let expected = "an object with `id`, `approved` (true or false) and perhaps `reason`, a string";
    let answers = list.into_iter().enumerate();
    answers
        .map(|(at, raw)| serde_json::from_str(raw.get()).map_err(|_| wrong(&format!("{here}/{at}"), expected)))
        .collect()
}

/// The task that a method is about.
pub(super) fn task(params: &Members<'_>) -> Result<TaskName, Problem> {
    let expected = || wrong("/params/id", "the id of a task");
    let id = params.get::<String>("id", "").map_err(|_| expected())?.filter(|id| !id.is_empty());
    Ok(TaskName::parse(&id.ok_or_else(expected)?))
}

/// How much of a history is asked for; none is all of it.
pub(super) fn history_length(params: &Members<'_>, pointer: &str) -> Result<Option<usize>, Problem> {
    let length = params.get::<u32>("historyLength", "").map_err(|_| wrong(pointer, "a whole number, 0 or more"))?;
    Ok(length.map(|length| usize::try_from(length).unwrap_or(usize::MAX)))
}

fn object<'a>(members: &Members<'a>, name: &str, pointer: &str) -> Result<Option<Members<'a>>, Problem> {
    let Some(raw) = members.raw(name) else { return Ok(None) };
    let read = Members::read(raw.get().as_bytes());
    read.map(Some).map_err(|_| wrong(pointer, "an object, each member once"))
}

/// Nobody is called back.
pub(super) fn no_push() -> Fault {
    let message = "this server sends no push notifications; stream the task, subscribe to it, or ask for it again";
    Fault::named(Named::PushNotificationNotSupported, message)
}
