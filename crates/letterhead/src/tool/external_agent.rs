//! Agents on other machines that an agent may ask: the client's side of the Agent2Agent protocol (A2A), by JSON-RPC.
//!
//! Own code, and not the official client: headers are rendered anew for each question, every request goes through the
//! [`GuardedClient`](crate::outbound::GuardedClient), which looks at where it goes, and the official crates bring gRPC.

mod ask;
mod cancel;
mod card;
mod conversation;
mod dialect;
mod heard;
mod prepare;
mod reading;
mod result;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::endpoint::{Endpoint, endpoint_methods};
use crate::agent::Text;

pub(crate) use card::KeptCard;
pub(crate) use prepare::{PreparedExternalAgent, prepare_external_agents};

/// What cards say, one for each caller and set of headers.
pub(crate) type CardPool = super::kept::Kept<KeptCard>;

/// An agent on another machine, by the Agent2Agent protocol. An agent that has it among its
/// [delegates](crate::Agent::with_delegate) may ask it, as it asks agents of its own program.
///
/// The address is that below which the agent's card is, at `/.well-known/agent-card.json`. The address and the headers are
/// templates, rendered for every question; the card is asked for with the same headers as the question. Nothing else of the
/// request behind the turn reaches the agent: it sees the question, and no conversation, no caller, no model.
///
/// Versions 1.0 and 0.3 are spoken, by JSON-RPC; of what the card offers, 1.0 is taken first. An interface at another
/// origin than the configured address is not used: the headers are meant for that address. What a card says is kept for
/// five minutes, for one caller with one set of headers.
///
/// Each question stands alone: what an agent asks back is told to the model, which may ask anew. When nobody waits for an
/// answer any more, the agent is told to cancel its work.
///
/// ```
/// use letterhead::{Agent, ExternalAgent};
///
/// let legal = ExternalAgent::new("legal", "https://legal.example.com")
///     .with_description("Answers contract questions.")
///     .with_header("Authorization", "Bearer {{ headers.auth_token }}")
///     .with_header_per_call("X-Request-Id", "{{ request.id }}");
/// let assistant = Agent::new("assistant").with_delegate("legal");
/// assert_eq!(legal.name(), &*assistant.delegates()[0].agent);
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "an external agent does nothing until it is added to a runner or registry"]
pub struct ExternalAgent {
    endpoint: Endpoint,
    description: Option<Arc<str>>,
}

impl ExternalAgent {
    /// An agent at this address, which is a template; its scheme, host and port are literal, or from the listed
    /// environment. The name is 1 to 48 letters, digits, `_` or `-`.
    pub fn new(name: impl Into<Arc<str>>, url: impl Into<Text>) -> Self {
        Self {
            endpoint: Endpoint::new(name.into(), url.into(), Method::GET, Duration::from_secs(120)),
            description: None,
        }
    }

    /// What it is for, told to the models that may ask it. What its card says of it is told to nobody.
    pub fn with_description(self, text: impl Into<Arc<str>>) -> Self {
        Self { description: Some(text.into()), ..self }
    }

    endpoint_methods!(with_timeout: "How long one question may take, from the card to the last word of the answer: 120 s.");

    /// What it is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

/// The name alone: the rest may hold keys.
impl fmt::Debug for ExternalAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAgent").field("name", &self.endpoint.name).finish_non_exhaustive()
    }
}

/// Which part of an external agent a fault is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExternalAgentPlace {
    /// The agent as a whole, or its name.
    Whole,
    /// A part of its requests.
    Request(letterhead_context::RequestPlace),
    /// The time that a question may take.
    Timeout,
}
