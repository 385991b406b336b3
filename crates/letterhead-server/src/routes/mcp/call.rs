//! `tools/call`: a turn of the agent that the tool is.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use letterhead::Agent;
use letterhead_context::{Code, Problem, SessionId};
use letterhead_store::Role;
use serde_json::{Map, Value, json};

use super::answer::{self, error_message, respond};
use super::approval::{self, Answered};
use super::message::Request;
use super::progress::ProgressEncoder;
use super::revision::Revision;
use crate::app::App;
use crate::arrival::Undecided;
use crate::error::{Failure, shown};
use crate::idempotency::{self, Stamp};
use crate::json_rpc::{Id, ResultMessage, is_invalid_params};
use crate::members::{Members, wrong};
use crate::model_choice::Asked;
use crate::session_header::say_session;
use crate::stream;
use crate::turn::{Ended, Incoming, IncomingMessage, Running, SessionChoice};

/// What every answer to one call has.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    id: Id,
    revision: Revision,
    session: Option<SessionId>,
    request_id: String,
    /// Can the client ask a person?
    can_ask: bool,
}

/// Begins a turn, and answers when it has ended: with one JSON document, or with a stream where the client wants to hear of
/// progress, or the turn is long.
pub(super) async fn call(
    app: &Arc<App>,
    request: &Request<'_>,
    revision: Revision,
    takes_events: bool,
    arrived: Undecided,
) -> Response {
    let request_id = arrived.request_id().as_str().to_owned();
    let called = match Called::read(request, app) {
        Ok(called) => called,
        Err(problem) => return answer::failed(&request.id, Failure::new(problem, &request_id)),
    };
    let can_ask = approval::can_ask(request, revision);
    let answers = Answers { id: request.id.clone(), revision, session: None, request_id, can_ask };
    let answered = if can_ask { Answered::read(request) } else { Ok(None) };
    let said = match answered {
        Err(problem) => return answer::failed(&request.id, Failure::new(problem, &answers.request_id)),
        Ok(Some(answered)) if answered.approvals.is_empty() => {
            let answers = Answers { session: Some(answered.session), ..answers };
            return respond(&answers.id, &answers.unable(called.agent.name(), approval::PUT_OFF));
        }
        Ok(Some(answered)) => Ok(Said::Decided(answered)),
        Ok(None) => Said::read(&called.arguments),
    };
    let said = match said {
        Ok(said) => said,
        // What a model got wrong it is told in a result: hosts do not show it errors of the protocol.
        Err(problem) => {
            let mut response = respond(&answers.id, &answers.result(called.agent.name(), "", Some(&problem)));
            response.extensions_mut().insert(problem);
            return response;
        }
    };
    let token = request.progress_token().filter(|_| takes_events);
    let mut running = match begin(app, called.agent, said, token.is_some(), arrived).await {
        Ok(running) => running,
        Err(failure) => return answer::failed(&request.id, failure),
    };
    // Closing the stream is how a client of this protocol cancels: it means now.
    running.client.leaves_at_once();
    let answers = Answers { session: running.session.clone(), ..answers };
    if let Some(token) = token {
        let encoder = ProgressEncoder::new(answers.clone(), token);
        let agent = Arc::clone(&running.agent);
        return match stream::respond(running, encoder, app.timing.keep_alive).await {
            Ok(response) => response,
            Err(problem) => answers.whole(&Ended::lost(&agent, problem)),
        };
    }
    if !takes_events {
        return answers.whole(&stream::ended(&mut running).await);
    }
    match tokio::time::timeout(app.timing.keep_alive, stream::ended(&mut running)).await {
        Ok(ended) => answers.whole(&ended),
        Err(_) => answers.late(running, app),
    }
}

/// Admits what arrived, exactly as where any other turn starts.
async fn begin(
    app: &Arc<App>,
    agent: &Agent,
    said: Said,
    stream: bool,
    arrived: Undecided,
) -> Result<Running, Failure> {
    let mut arrival = arrived.starts_turn()?;
    let request_id = arrival.request_id.clone();
    let failure = |problem: Problem| Failure::new(problem, request_id.as_str());
    // The tool's name is the agent: what a header says of agents is for protocols that have no other place for it.
    arrival.identity.agent = None;
    let asked = Asked::read(&app.registry, &app.aliases, &arrival.identity, None).map_err(failure)?;
    let asked = Asked { agent: Some(agent.shared_name()), ..asked };
    let (session, messages, approvals) = match said {
        Said::Decided(Answered { session, approvals }) => (SessionChoice::Named(session), Vec::new(), approvals),
        Said::Input { input, session } => {
            let ids = [arrival.identity.session_id.clone(), session];
            let body = json!({ "role": "user", "content": input }).to_string().into();
            let message = IncomingMessage { id: None, role: Role::User, body };
            (SessionChoice::first(ids, SessionChoice::New), vec![message], Vec::new())
        }
    };
    let incoming = Incoming { approvals, stream, ..Incoming::new(session, asked, messages) };
    let (id, created) = (format!("call_{}", uuid::Uuid::now_v7().simple()), app.clock.now_ms().div_euclid(1000));
    let stamp = Stamp { id, created, request_id: request_id.shared() };
    let (_, running) = idempotency::once(app, arrival, Box::new(incoming), stamp)
        .await
        .map_err(|refused| refused.of(request_id.as_str()))?;
    Ok(running)
}

/// Which agent is called, and with what.
struct Called<'a> {
    agent: &'a Agent,
    arguments: Members<'a>,
}

impl<'a> Called<'a> {
    fn read(request: &'a Request<'_>, app: &'a App) -> Result<Self, Problem> {
        let expected = || wrong("/params/name", "the name of a tool");
        let name = request.params.get::<String>("name", "").ok().flatten().ok_or_else(expected)?;
        let agent = app.registry.agent(&name).ok_or_else(|| unknown(app, &name))?;
        Ok(Self { agent, arguments: request.arguments()? })
    }
}

fn unknown(app: &App, name: &str) -> Problem {
    let tools = app.registry.agents().map(|agent| format!("`{}`", agent.name())).collect::<Vec<_>>().join(", ");
    let detail = format!("there is no tool `{}`; there are {tools}", shown(name));
    Problem::new(Code::AgentNotFound, detail).with_param("params.name")
}

/// What a tool is called with.
enum Said {
    Input {
        input: String,
        session: Option<SessionId>,
    },
    /// What a person decided of an earlier call. What was said then is said.
    Decided(Answered),
}

impl Said {
    fn read(arguments: &Members<'_>) -> Result<Self, Problem> {
        let text = |name: &str, pointer: &str, expected: &str| {
            arguments.get::<String>(name, expected).map_err(|_| wrong(pointer, expected))
        };
        let (input, what) = ("/params/arguments/input", "a string: what is said to the agent");
        let session = text("session_id", "/params/arguments/session_id", "a string")?;
        // Models fill what they have no value for with nothing.
        let session = session.filter(|id| !id.is_empty()).map(|id| SessionId::parse(&id)).transpose()?;
        Ok(Self::Input { input: text("input", input, what)?.ok_or_else(|| wrong(input, what))?, session })
    }
}

impl Answers {
    /// The end of the turn as one JSON document.
    fn whole(&self, ended: &Ended) -> Response {
        let mut response = match self.refusal(ended) {
            Some(failure) => return answer::failed(&self.id, failure),
            None => respond(&self.id, &self.outcome(ended)),
        };
        say_session(self.session.as_ref(), response.headers_mut());
        // A result for the client, and a failure for the log.
        if let Some(problem) = &ended.problem {
            response.extensions_mut().insert(problem.clone());
        }
        response
    }

    /// A turn that is not over yet: comment lines until it is.
    fn late(self, running: Running, app: &Arc<App>) -> Response {
        let (session, keep_alive) = (self.session.clone(), app.timing.keep_alive);
        let frames = unfold(Some((self, running)), move |state| async move {
            let (answers, mut running) = state?;
            let (frame, rest) = match tokio::time::timeout(keep_alive, stream::ended(&mut running)).await {
                Ok(ended) => (answers.frame(&ended), None),
                Err(_) => (stream::KEEP_ALIVE.to_vec(), Some((answers, running))),
            };
            Some((Ok::<_, Infallible>(Bytes::from(frame)), rest))
        });
        stream::event_stream(Body::from_stream(frames), session.as_ref())
    }

    /// Those to a call of this id, outside any conversation.
    #[cfg(test)]
    pub(super) fn to(id: Id, revision: Revision) -> Self {
        Self { id, revision, session: None, request_id: "r".to_owned(), can_ask: false }
    }

    /// The end of the turn as the last frame of a stream.
    pub(super) fn frame(&self, ended: &Ended) -> Vec<u8> {
        let mut frame = Vec::with_capacity(512);
        match self.refusal(ended) {
            Some(failure) => stream::data_frame(&error_message(&self.id, &failure), &mut frame),
            None => stream::data_frame(&ResultMessage::new(&self.id, &self.outcome(ended)), &mut frame),
        }
        frame
    }

    /// What the request brought makes the turn impossible: an error of the protocol, since calling again as before is no use.
    fn refusal(&self, ended: &Ended) -> Option<Failure> {
        let problem = ended.problem.clone().filter(|problem| is_invalid_params(problem.code()))?;
        Some(Failure::new(problem, &self.request_id).in_session(self.session.clone()))
    }

    /// What the agent said, or why it could not: that is a result too, and the client's model may make something of it.
    fn outcome(&self, ended: &Ended) -> Value {
        let outcome = &ended.outcome;
        if ended.problem.is_none() && !outcome.approvals.is_empty() {
            return match self.session.as_ref().filter(|_| self.can_ask) {
                Some(session) => approval::questions(outcome, session, &self.meta(&outcome.agent)),
                None => self.unable(&outcome.agent, &approval::unasked(outcome)),
            };
        }
        let said = if outcome.output.is_empty() { &outcome.refusal } else { &outcome.output };
        self.result(&outcome.agent, said, ended.problem.as_ref())
    }

    /// Where a conversation is, and whose it is.
    fn meta(&self, agent: &str) -> Map<String, Value> {
        let mut meta = Map::new();
        if let Some(session) = &self.session {
            meta.insert("session_id".to_owned(), session.as_str().into());
        }
        meta.insert("agent".to_owned(), agent.into());
        meta
    }

    /// A result that is none, for want of a person.
    fn unable(&self, agent: &str, why: &str) -> Value {
        let content = json!([{ "type": "text", "text": why }]);
        self.revision.complete(json!({ "content": content, "isError": true, "_meta": self.meta(agent) }))
    }

    fn result(&self, agent: &str, said: &str, problem: Option<&Problem>) -> Value {
        let mut meta = self.meta(agent);
        let mut texts = Vec::with_capacity(2);
        if let Some(problem) = problem {
            meta.insert("problem".to_owned(), Failure::new(problem.clone(), &self.request_id).document());
            texts.push(problem.detail());
        }
        if problem.is_none() || !said.is_empty() {
            texts.push(said);
        }
        let content: Vec<Value> = texts.into_iter().map(|text| json!({ "type": "text", "text": text })).collect();
        self.revision.complete(json!({ "content": content, "isError": problem.is_some(), "_meta": meta }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_failed_is_a_result_for_the_client_and_a_failure_for_the_log() {
        let answers = Answers::to(Id::Text("7".to_owned()), Revision::PerRequest);
        let response = answers.whole(&Ended::lost(&"a".into(), Problem::new(Code::UpstreamUnavailable, "gone")));
        assert_eq!(response.status(), http::StatusCode::OK);
        assert_eq!(response.extensions().get().map(Problem::code), Some(Code::UpstreamUnavailable));
    }
}
