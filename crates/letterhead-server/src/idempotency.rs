//! `Idempotency-Key`: a request that is sent again is told what the first one was told, and nothing happens twice.
//!
//! The key is claimed before the turn begins, and goes with the turn into its task: a client that leaves does not free it. An
//! answer is kept with what its turn stores, or by itself where a turn stores nothing; what did not come to its end frees the
//! key. What is kept is the outcome and not its bytes, so that it can be told again streamed or whole.

mod answer;
mod key;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use letterhead::run::{Outcome, RunEnd};
use letterhead_context::{Code, Fault, HeaderSchema, IdentityClaims, Problem, Sent, SentValue, SessionId};
use letterhead_store::{Claim, Claimed, Fingerprints, IdempotencyKey, KeptAnswer, Owner, TurnId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::app::App;
use crate::arrival::Arrival;
use crate::error::{NotBegun, store_problem};
use crate::members::Members;
use crate::turn::{self, Incoming, Running, SessionChoice};

use answer::Answer;

pub use key::KeyHeader;

/// When a client may ask again whose request still runs: nobody knows when it ends.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The members of a body that say how the answer is to come, and not what is asked.
const MANNER: [&str; 2] = ["stream", "stream_options"];

/// What marks an answer as this one, however often it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The answer's id, in the form of its protocol.
    pub id: String,
    /// When it was begun, in Unix seconds.
    pub created: i64,
    /// The request that it was made for.
    pub request_id: Arc<str>,
}

/// The promise to keep the answer of a turn under the key that its request has claimed.
#[derive(Debug)]
pub struct Pledge {
    claimed: Claimed,
    stamp: Stamp,
}

/// Begins the turn of a request; or tells again what it was answered, where its key says that it was sent before.
///
/// # Errors
///
/// What the turn is refused with; 409 while the first request with the key runs, 422 for a key of another request. Limits of the
/// caller are asked after that: what begins no turn is not counted.
pub async fn once(
    app: &Arc<App>,
    mut arrival: Box<Arrival>,
    incoming: Box<Incoming>,
    stamp: Stamp,
) -> Result<(Stamp, Running), NotBegun> {
    match claim(app, &mut arrival, &incoming).await? {
        Key::None => Ok((stamp, turn::begin(app, arrival, incoming).await?)),
        Key::First(claimed) => {
            let pledge = Box::new(Pledge { claimed, stamp: stamp.clone() });
            Ok((stamp, turn::begin_pledged(app, arrival, incoming, pledge).await?))
        }
        Key::Answered(answer) => Ok(answer.again(incoming.stream)),
    }
}

/// Was this request answered before? It cannot begin its turn now; if it was the one that began it, that is why.
///
/// # Errors
///
/// As [`once`] where the key was used before.
pub(crate) async fn told_before(app: &App, mut arrival: Box<Arrival>, incoming: &Incoming) -> Result<bool, NotBegun> {
    match claim(app, &mut arrival, incoming).await? {
        Key::None => Ok(false),
        Key::First(claimed) => {
            release(app, claimed).await;
            Ok(false)
        }
        Key::Answered(_) => Ok(true),
    }
}

/// What the key of a request is.
enum Key {
    /// There is none, or it does not matter.
    None,
    /// It is new.
    First(Claimed),
    /// The request was answered so.
    Answered(Box<Answer>),
}

async fn claim(app: &App, arrival: &mut Arrival, incoming: &Incoming) -> Result<Key, NotBegun> {
    // What is wrong with the headers is told at once, whatever was sent before.
    let (Some(sent), Ok(admitted)) = (arrival.idempotency.take(), &arrival.admission) else { return Ok(Key::None) };
    if arrival.stranger && !sent.is_random() {
        // Strangers are one caller: what one of them can guess would tell it another's answer.
        let detail = "without a user it has to be, or to end with, a random UUID (version 4), which nobody can guess";
        return Err(Problem::faults(vec![Fault::header(key::NAME, Code::InvalidHeader, detail)]).into());
    }
    let declared = declared(app.ingress.schema(), &admitted.sent, &app.fingerprints);
    let request = hash(&sent, &arrival.identity, &declared, &arrival.body)?;
    let session = match &incoming.session {
        SessionChoice::Named(id) => Some(id.clone()),
        SessionChoice::New | SessionChoice::Nothing => None,
    };
    let key = IdempotencyKey { owner: Owner::from(&arrival.caller), session, key: sent.text() };
    match app.store.claim(key, request).await.map_err(|error| store_problem(&error))? {
        Claim::New(claimed) => Ok(Key::First(claimed)),
        Claim::Running => {
            let detail = "the request with this `Idempotency-Key` is still running; ask again in a moment";
            Err(Problem::new(Code::IdempotencyRunning, detail).with_retry_after(ASK_AGAIN).into())
        }
        Claim::Mismatch => {
            let detail = "this `Idempotency-Key` was sent with another request; make a new key for each request, and use it \
                          again only to send the same one";
            Err(Problem::new(Code::IdempotencyMismatch, detail).into())
        }
        Claim::Answered(bytes) => {
            let answer = Answer::read(&bytes)?;
            tracing::debug!(request_id = arrival.request_id.as_str(), "told again what was answered before");
            Ok(Key::Answered(Box::new(answer)))
        }
    }
}

async fn release(app: &App, claimed: Claimed) {
    if let Err(error) = app.store.release(claimed).await {
        tracing::warn!("an `Idempotency-Key` could not be freed; it becomes free by itself: {error}");
    }
}

/// The declared headers that a request sent, each by its field's name and with its value as JSON; none for one that was cleared.
/// They may say for whom an application asks, and an answer for one person is none for another. A secret is there by its
/// fingerprint: from the hash that is stored nobody can find it by trying.
fn declared<'a>(schema: &'a HeaderSchema, sent: &Sent, fingerprints: &Fingerprints) -> Vec<(&'a str, Option<Vec<u8>>)> {
    let fields = sent.iter().filter_map(|(at, value)| Some((schema.fields().get(at)?, value)));
    let written = fields.map(|(field, value)| match value {
        SentValue::Value(value) if field.is_secret() => {
            let text = Zeroizing::new(value.to_string());
            (field.name(), Some(fingerprints.of(text.as_bytes(), true).to_vec()))
        }
        SentValue::Value(value) => (field.name(), Some(value.to_string().into_bytes())),
        SentValue::Cleared => (field.name(), None),
    });
    written.collect()
}

/// The hash of what a request asks for: its path, the agent and the model that its headers name, the declared headers that it
/// sent, and its body member by member, but for those that say in which manner the answer is to come.
fn hash(
    sent: &KeyHeader,
    identity: &IdentityClaims,
    declared: &[(&str, Option<Vec<u8>>)],
    body: &[u8],
) -> Result<[u8; 32], Problem> {
    let members = Members::read(body)?;
    let head = [Some(sent.path()), identity.agent.as_deref(), identity.model.as_deref()];
    let head = head.map(|text| text.map(str::as_bytes));
    // The id of a JSON-RPC request is how its answer is known, and new whenever a client sends it again.
    let is_manner = |name: &str| MANNER.contains(&name) || (name == "id" && members.raw("jsonrpc").is_some());
    let asked = members.iter().filter(|(name, _)| !is_manner(name));
    let asked = asked.flat_map(|(name, raw)| [Some(name.as_bytes()), Some(raw.get().as_bytes())]);
    let mut hash = digest::Context::new(&digest::SHA256);
    // Each part behind its length, and what may be missing behind a zero or a one: no two requests are the same bytes.
    let mut add = |part: Option<&[u8]>| {
        hash.update(&[u8::from(part.is_some())]);
        let part = part.unwrap_or_default();
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    head.into_iter().for_each(&mut add);
    // How many headers follow is said before them: else a member of the body could pass for one.
    add(Some(&declared.len().to_be_bytes()));
    declared.iter().flat_map(|(name, value)| [Some(name.as_bytes()), value.as_deref()]).for_each(&mut add);
    asked.for_each(&mut add);
    let mut request = [0; 32];
    request.copy_from_slice(hash.finish().as_ref());
    Ok(request)
}

impl Pledge {
    /// The answer to be kept; none for a turn that has not come to its end. `session`, `turn` and `agent` are what it began with.
    pub(crate) fn answer(
        &self,
        session: Option<SessionId>,
        turn: Option<TurnId>,
        agent: Arc<str>,
        outcome: &Outcome,
    ) -> Option<KeptAnswer> {
        let RunEnd::Complete(finish) = outcome.end else { return None };
        let answer = Answer::of(self.stamp.clone(), session, turn, agent, finish, outcome);
        Some(self.claimed.answer(answer.bytes()))
    }

    /// Keeps the answer of a turn that stores nothing else, and says whether it is kept. One that cannot be is given all the
    /// same: a client that has its answer does not ask again.
    pub(crate) async fn keep(app: &App, answer: Option<KeptAnswer>) -> bool {
        let Some(answer) = answer else { return false };
        match app.store.keep_answer(answer).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!("an answer could not be kept for its `Idempotency-Key`: {error}");
                false
            }
        }
    }

    /// Frees the key, for whoever sends the request again.
    pub(crate) async fn give_up(self: Box<Self>, app: &App) {
        release(app, self.claimed).await;
    }
}
