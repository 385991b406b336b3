//! Calls that carry a token, and what becomes of them when their destination refuses it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{StatusCode, header};
use letterhead_context::{CarriedSecrets, NotSent, RequestContext, SubjectToken};
use letterhead_store::Fingerprint;
use serde_json::Value;

use super::answer::Issued;
use super::fault::{NoToken, nothing_to_trade};
use super::prepare::PreparedExchange;
use super::tokens::Tokens;
use crate::outbound::{Answer, GuardedClient, OutboundFault, Outgoing, StreamGuard};

/// The right of one caller to get tokens for one destination. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pass(Arc<Parts>);

struct Parts {
    tokens: Arc<Tokens>,
    exchange: Arc<PreparedExchange>,
    context: RequestContext,
    subject: SubjectToken,
    /// The tokens that were got with it.
    used: Mutex<Vec<Arc<Issued>>>,
}

impl Pass {
    /// That of the caller behind a request.
    ///
    /// # Errors
    ///
    /// If the caller has no token to trade.
    pub(crate) fn new(
        tokens: &Arc<Tokens>,
        exchange: &Arc<PreparedExchange>,
        context: &RequestContext,
    ) -> Result<Self, NotSent> {
        let subject = context.subject_token().ok_or_else(|| nothing_to_trade(context.caller().source()))?;
        Ok(Self(Arc::new(Parts {
            tokens: Arc::clone(tokens),
            exchange: Arc::clone(exchange),
            context: context.clone(),
            subject: subject.clone(),
            used: Mutex::default(),
        })))
    }

    /// Stands for the caller's token and the destination, where things of several callers are told apart.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.0.tokens.key(&self.0.exchange, &self.0.subject)
    }

    /// Takes the tokens that were got with it out of an answer: a destination may send back what it was sent.
    pub(crate) fn conceal(&self, answer: &mut Value) {
        let mut carried = CarriedSecrets::default();
        self.hide_in(&mut carried);
        carried.remove_from(answer);
    }

    /// Adds the tokens that were got with it to what is taken out of answers.
    pub(crate) fn hide_in(&self, carried: &mut CarriedSecrets) {
        self.used().iter().for_each(|issued| carried.insert(&issued.text));
    }

    async fn token(&self) -> Result<Arc<Issued>, NoToken> {
        let issued = self.0.tokens.get(&self.0.exchange, &self.0.context, &self.0.subject).await?;
        let mut used = self.used();
        if !used.iter().any(|known| Arc::ptr_eq(known, &issued)) {
            used.push(Arc::clone(&issued));
        }
        Ok(issued)
    }

    fn refused(&self, issued: &Arc<Issued>) {
        self.0.tokens.refused(&self.0.exchange, &self.0.subject, issued);
    }

    fn used(&self) -> MutexGuard<'_, Vec<Arc<Issued>>> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("exchange", &self.0.exchange).finish_non_exhaustive()
    }
}

/// A request with the token that it needs, if it needs one.
pub(crate) struct Carrying {
    request: Outgoing,
    token: Option<(Pass, Arc<Issued>)>,
    renewed: bool,
}

impl Carrying {
    /// Puts the token in. Without a pass the request is as it was.
    ///
    /// # Errors
    ///
    /// If no token is to be had: nothing may be sent then.
    pub(crate) async fn new(mut request: Outgoing, pass: Option<Pass>) -> Result<Self, NoToken> {
        let Some(pass) = pass else { return Ok(Self { request, token: None, renewed: false }) };
        let issued = pass.token().await?;
        request.headers.insert(header::AUTHORIZATION, issued.header.clone());
        Ok(Self { request, token: Some((pass, issued)), renewed: false })
    }

    /// The request as it goes out.
    pub(crate) fn request(&self) -> &Outgoing {
        &self.request
    }

    /// Did the destination refuse the token, and is there another in its place now? So it is once. Whoever refuses a token has
    /// done nothing: the call can be made again, whatever it does.
    pub(crate) async fn is_renewed_after(&mut self, status: StatusCode) -> bool {
        let Some((pass, issued)) = self.token.as_mut().filter(|_| status == StatusCode::UNAUTHORIZED) else {
            return false;
        };
        pass.refused(issued);
        if std::mem::replace(&mut self.renewed, true) {
            return false;
        }
        let Ok(other) = pass.token().await else { return false };
        self.request.headers.insert(header::AUTHORIZATION, other.header.clone());
        *issued = other;
        true
    }

    /// Adds the tokens to what is taken out of the answer.
    pub(crate) fn hide_in(&self, carried: &mut CarriedSecrets) {
        if let Some((pass, _)) = &self.token {
            pass.hide_in(carried);
        }
    }
}

impl fmt::Debug for Carrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrying").field("has_token", &self.token.is_some()).finish_non_exhaustive()
    }
}

/// Makes a call with the token that it needs, if there is a pass, and returns with the head of its answer.
pub(crate) async fn open(
    client: &GuardedClient,
    request: Outgoing,
    guard: StreamGuard,
    pass: Option<&Pass>,
) -> Result<Answer, CallFault> {
    let mut call = Carrying::new(request, pass.cloned()).await.map_err(CallFault::NoToken)?;
    loop {
        let answer = client.open(call.request(), guard).await.map_err(CallFault::Outbound)?;
        if !call.is_renewed_after(answer.status).await {
            return Ok(answer);
        }
        answer.body.release();
    }
}

/// Why a call that carries a token brought no answer.
#[derive(Clone, Debug)]
pub(crate) enum CallFault {
    /// It was not made.
    NoToken(NoToken),
    /// It was.
    Outbound(OutboundFault),
}

impl CallFault {
    /// In words that hold nothing of the other side.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::NoToken(no) => no.to_string(),
            Self::Outbound(fault) => fault.reason(),
        }
    }
}
