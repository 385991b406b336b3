//! The context variables of one turn: each is fetched when something first needs it, and once.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use letterhead_context::{
    Code, Destination, DestinationKind, Layer, Problem, RenderedRequest, RequestContext, TrailEntry, Values,
    VariableValues,
};
use letterhead_store::{Fingerprint, KeptVariable};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::define::When;
use super::fetch::{Fetching, Sending};
use super::prepare::PreparedVariable;
use crate::token_exchange::{CallFault, Pass};
use crate::tool::State;

/// The reason in the trail for what an earlier turn fetched.
const KEPT: &str = "kept from an earlier turn";

const DEFAULT: &str = "the default stands for it";
const MISSING: &str = "it is missing";

/// The context variables of one turn, for all its runs.
#[derive(Default)]
pub(crate) struct TurnVariables {
    /// What the session kept.
    kept: Vec<KeptVariable>,
    /// One for each variable; made when the first of them is needed.
    slots: OnceLock<Box<[Slot]>>,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Slot {
    /// Of a variable whose request is the same throughout the turn.
    once: Flight,
    /// Of one whose request may vary: for each request.
    by_request: Mutex<Vec<(Fingerprint, Arc<Flight>)>>,
}

/// One request of a turn, and what came of it.
#[derive(Default)]
struct Flight {
    resolved: OnceCell<Resolved>,
    /// While it is on its way. Who waits for it may be dropped, and then another waits for the same.
    sending: Mutex<Option<Sending>>,
}

#[derive(Default)]
struct Noted {
    fetched: Vec<KeptVariable>,
    trail: Vec<TrailEntry>,
}

/// A value, or none that the turn can do without, or why there is none.
pub(super) type Resolved = Result<Option<Arc<Value>>, Unavailable>;

/// A value with its name.
type Named = (Arc<str>, Arc<Value>);

/// A variable that has no value, and none to stand in for it.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable {
    destination: Arc<str>,
    reason: Arc<str>,
}

impl Unavailable {
    pub(super) fn new(variable: &PreparedVariable, reason: impl Into<Arc<str>>) -> Self {
        Self { destination: Arc::clone(&variable.destination), reason: reason.into() }
    }

    /// The error for the caller.
    pub(crate) fn problem(&self) -> Problem {
        Problem::new(Code::ContextUnavailable, self.to_string()).with_should_retry(false)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` could not be fetched: {}", self.destination, self.reason)
    }
}

impl TurnVariables {
    /// Starts from what the session kept.
    pub(crate) fn new(kept: Vec<KeptVariable>) -> Self {
        Self { kept, ..Self::default() }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, at: usize, count: usize) -> Option<&Slot> {
        self.slots.get_or_init(|| (0..count).map(|_| Slot::default()).collect()).get(at)
    }

    /// What was sent, and what was not, since this was last asked for.
    pub(crate) fn take_trail(&self) -> Vec<TrailEntry> {
        if self.slots.get().is_none() { Vec::new() } else { std::mem::take(&mut self.noted().trail) }
    }

    /// Notes of a request that it reached nobody. Where the trail was asked for in the meantime, it says that the request
    /// was made.
    fn take_back(&self, made: &[TrailEntry], fault: &CallFault) {
        let mut noted = self.noted();
        for entry in made.iter().filter(|entry| entry.sent) {
            // Of those that are equal it does not matter which.
            if let Some(entry) = noted.trail.iter_mut().find(|noted| *noted == entry) {
                reached_nobody(entry, fault);
            }
        }
    }

    /// What was fetched and is to be kept.
    pub(crate) fn take_fetched(&self) -> Vec<KeptVariable> {
        std::mem::take(&mut self.noted().fetched)
    }
}

/// Somebody who needs variables.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) variables: &'a [PreparedVariable],
    pub(crate) fetching: &'a Fetching,
    pub(crate) turn: &'a TurnVariables,
    pub(crate) context: &'a RequestContext,
    pub(crate) state: &'a State,
}

impl<'a> Asking<'a> {
    /// Has anything needed this variable in this turn?
    pub(crate) fn is_known(&self, at: usize) -> bool {
        let slot = self.turn.slots.get().and_then(|slots| slots.get(at));
        slot.is_some_and(|slot| slot.once.resolved.initialized() || !slot.flights().is_empty())
    }

    /// The outcome for one variable.
    pub(crate) async fn outcome(&self, at: usize) -> Resolved {
        self.value(at).await.map(|value| value.map(|(_, value)| value))
    }

    /// The values of some variables. What is there already costs little; the rest is fetched, all at the same time, each
    /// as soon as what it needs itself is there.
    ///
    /// # Errors
    ///
    /// As soon as one of them is known to have no value. The other fetches are then given up, unless others wait for them.
    pub(crate) async fn values(&self, needs: &[usize]) -> Result<VariableValues, Unavailable> {
        if needs.is_empty() {
            return Ok(VariableValues::default());
        }
        let found = try_join_all(needs.iter().map(|at| self.value(*at))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// One value with its name. Boxed: a variable may need a variable.
    fn value(self, at: usize) -> BoxFuture<'a, Result<Option<Named>, Unavailable>> {
        async move {
            let Some(variable) = self.variables.get(at) else { return Ok(None) };
            let Some(slot) = self.turn.slot(at, self.variables.len()) else { return Ok(None) };
            let resolved = if variable.varies {
                self.resolve(variable, slot).await
            } else {
                slot.once.resolved.get_or_init(|| self.resolve(variable, slot)).await.clone()
            };
            Ok(resolved?.map(|value| (Arc::clone(&variable.name), value)))
        }
        .boxed()
    }

    async fn resolve(&self, variable: &PreparedVariable, slot: &Slot) -> Resolved {
        let needed = match self.values(&variable.needs).await {
            Ok(needed) => needed,
            Err(unavailable) => return self.without(variable, &unavailable),
        };
        let values = Values { state: Some(self.state.snapshot()), variables: needed, ..Values::default() };
        if !variable.requires.iter().all(|requirement| requirement.is_met(self.context, &values)) {
            self.note(variable, variable.skipped());
            return Ok(variable.default.clone());
        }
        let pass = match self.fetching.pass(variable.exchange.as_ref(), self.context) {
            Ok(pass) => pass,
            Err(no) => {
                let entry =
                    variable.exchange.as_ref().map(|exchange| exchange.entry(self.context, &variable.to(), Some(&no)));
                self.turn.noted().trail.extend(entry);
                return self.without(variable, &Unavailable::new(variable, no.to_string()));
            }
        };
        let recall = &self.fetching.recall;
        let digest = variable.inputs.as_ref().map(|inputs| recall.digest(&variable.name, inputs, self.context));
        let recalled = digest.and_then(|digest| recall.fingerprint(digest));
        if let Some(kept) = recalled.and_then(|fingerprint| self.kept(variable, fingerprint)) {
            self.note(variable, KEPT);
            return Ok(Some(Arc::clone(&kept.value)));
        }
        let mut trail = Vec::new();
        let rendered = variable.request.render(&variable.to(), self.context, &values, &mut trail);
        let request = match rendered {
            Ok(request) => request,
            Err(not_sent) => {
                self.turn.noted().trail.append(&mut trail);
                return self.without(variable, &Unavailable::new(variable, not_sent.to_string()));
            }
        };
        trail.extend(variable.exchange.as_ref().map(|exchange| exchange.entry(self.context, &variable.to(), None)));
        let fingerprint = self.fetching.fingerprint(variable, &request, pass.as_ref());
        if let Some(digest) = digest {
            recall.remember(digest, fingerprint);
        }
        if !variable.varies {
            return self.obtain(variable, (&request, pass), fingerprint, trail, &slot.once).await;
        }
        let flight = slot.flight(fingerprint);
        let obtain = || self.obtain(variable, (&request, pass), fingerprint, trail, &flight);
        flight.resolved.get_or_init(obtain).await.clone()
    }

    /// The kept value of a request, or what it fetches.
    async fn obtain(
        &self,
        variable: &PreparedVariable,
        (request, pass): (&RenderedRequest, Option<Pass>),
        fingerprint: Fingerprint,
        mut trail: Vec<TrailEntry>,
        flight: &Flight,
    ) -> Resolved {
        if let Some(kept) = self.kept(variable, fingerprint) {
            self.note(variable, KEPT);
            return Ok(Some(Arc::clone(&kept.value)));
        }
        let mut made = Vec::new();
        let sending = flight.join(|| {
            made.clone_from(&trail);
            self.turn.noted().trail.append(&mut trail);
            self.fetching.send(variable, request, self.context, pass)
        });
        let fetched = sending.await;
        flight.end();
        if let Some(fault) = &fetched.unsent {
            self.turn.take_back(&made, fault);
        }
        match Fetching::read(variable, request, self.context, &fetched) {
            Ok(value) => {
                let value = Arc::new(value);
                if variable.when == When::Conversation {
                    self.keep(variable, &value, fingerprint);
                }
                Ok(Some(value))
            }
            Err(reason) => self.without(variable, &Unavailable::new(variable, reason)),
        }
    }

    /// What goes on in the place of a value that could not be fetched.
    fn without(&self, variable: &PreparedVariable, unavailable: &Unavailable) -> Resolved {
        let (instead, resolved) = variable.without(unavailable);
        let why = if unavailable.destination == variable.destination {
            unavailable.reason.to_string()
        } else {
            unavailable.to_string()
        };
        tracing::warn!(
            request_id = self.context.request_id(),
            variable = &*variable.destination,
            "a context variable could not be fetched: {why}; {instead}"
        );
        self.note(variable, format!("could not be fetched: {why}; {instead}"));
        resolved
    }

    fn kept(&self, variable: &PreparedVariable, fingerprint: Fingerprint) -> Option<&KeptVariable> {
        if variable.when != When::Conversation {
            return None;
        }
        let kept = self.turn.kept.iter().find(|kept| kept.name == variable.name)?;
        let now_ms = self.fetching.clock.now_ms();
        // The configuration may have become stricter since.
        let in_time = variable.ttl.is_none_or(|ttl| now_ms.saturating_sub(kept.fetched_at_ms) < millis(ttl));
        (kept.fingerprint == fingerprint && kept.is_fresh(now_ms) && in_time).then_some(kept)
    }

    fn keep(&self, variable: &PreparedVariable, value: &Arc<Value>, fingerprint: Fingerprint) {
        let fetched_at_ms = self.fetching.clock.now_ms();
        let kept = KeptVariable {
            name: Arc::clone(&variable.name),
            value: Arc::clone(value),
            fingerprint,
            fetched_at_ms,
            expires_at_ms: variable.ttl.map(|ttl| fetched_at_ms.saturating_add(millis(ttl))),
            secret: variable.secret,
        };
        let mut noted = self.turn.noted();
        noted.fetched.retain(|earlier| earlier.name != kept.name);
        noted.fetched.push(kept);
    }

    /// Notes that a variable was not fetched, for there was no need, or in vain.
    fn note(&self, variable: &PreparedVariable, reason: impl Into<Cow<'static, str>>) {
        self.turn.noted().trail.push(entry(variable, self.context, reason.into()));
    }
}

impl Slot {
    fn flights(&self) -> MutexGuard<'_, Vec<(Fingerprint, Arc<Flight>)>> {
        self.by_request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flight(&self, fingerprint: Fingerprint) -> Arc<Flight> {
        let mut flights = self.flights();
        if let Some((_, flight)) = flights.iter().find(|(known, _)| *known == fingerprint) {
            return Arc::clone(flight);
        }
        let flight = Arc::default();
        flights.push((fingerprint, Arc::clone(&flight)));
        flight
    }
}

impl Flight {
    fn sending(&self) -> MutexGuard<'_, Option<Sending>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request that is on its way, or else the one that begins now.
    fn join(&self, begin: impl FnOnce() -> Sending) -> Sending {
        self.sending().get_or_insert_with(begin).clone()
    }

    /// Lets the answer go.
    fn end(&self) {
        *self.sending() = None;
    }
}

/// Takes back in the trail what was to be sent by a call that reached nobody.
pub(crate) fn reached_nobody(entry: &mut TrailEntry, fault: &CallFault) {
    if entry.sent {
        entry.sent = false;
        entry.reason = Some(format!("nothing was sent: {}", fault.reason()).into());
    }
}

/// The entry of the trail for a variable as a whole.
pub(super) fn entry(variable: &PreparedVariable, context: &RequestContext, reason: Cow<'static, str>) -> TrailEntry {
    TrailEntry {
        agent: context.shared_agent(),
        destination: Arc::clone(&variable.destination),
        kind: DestinationKind::Fetcher,
        header: Arc::clone(&variable.name),
        from: Arc::clone(&variable.destination),
        part: None,
        layer: Layer::Destination,
        sent: false,
        reason: Some(reason),
    }
}

impl PreparedVariable {
    /// What goes on in the place of a value that could not be fetched, in words and in fact.
    pub(super) fn without(&self, unavailable: &Unavailable) -> (&'static str, Resolved) {
        match &self.default {
            Some(default) => (DEFAULT, Ok(Some(Arc::clone(default)))),
            None if self.optional => (MISSING, Ok(None)),
            None => ("nothing stands for it", Err(unavailable.clone())),
        }
    }

    /// The reason in the trail for what was not asked for.
    pub(super) fn skipped(&self) -> String {
        let instead = if self.default.is_some() { DEFAULT } else { MISSING };
        format!("skipped, for something that it requires is missing; {instead}")
    }

    /// Where its requests go, as a trail names it.
    pub(crate) fn to(&self) -> Destination {
        Destination::new(Arc::clone(&self.destination), DestinationKind::Fetcher)
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
