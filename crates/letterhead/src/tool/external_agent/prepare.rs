//! Makes an external agent ready: its templates and names checked; and asks it.

use std::sync::Arc;

use letterhead_context::{CarriedSecrets, DestinationKind, NotSent, RequestContext, Scope, TrailEntry, Values};
use tokio::time;

use super::card::{self, KeptCard};
use super::conversation::{Conversation, Ended};
use super::heard::Heard;
use super::result::{Unanswered, failed, told};
use super::{CardPool, ExternalAgent, ExternalAgentPlace};
use crate::registry::{RegistryFault, RegistryPlace};
use crate::run::Events;
use crate::tool::ToolError;
use crate::tool::endpoint::{EndpointPlace, Line, PreparedEndpoint, Protocol};
use crate::tool::json_rpc::AskFault;
use crate::variable::{Fetching, PreviewRequest, reached_nobody};

const PROTOCOL: Protocol = Protocol {
    name: "an agent's name",
    section: "external_agents",
    destination: DestinationKind::ExternalAgent,
    headers: "a2a-",
    asked: "question",
};

/// An external agent, ready to be asked.
#[derive(Debug)]
pub(crate) struct PreparedExternalAgent {
    pub(crate) endpoint: PreparedEndpoint,
}

impl From<EndpointPlace> for ExternalAgentPlace {
    fn from(place: EndpointPlace) -> Self {
        match place {
            EndpointPlace::Whole => Self::Whole,
            EndpointPlace::Request(part) => Self::Request(part),
            EndpointPlace::Timeout => Self::Timeout,
        }
    }
}

/// Checks external agents.
pub(crate) fn prepare_external_agents(
    agents: &[ExternalAgent],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Vec<Arc<PreparedExternalAgent>> {
    let mut prepared = Vec::with_capacity(agents.len());
    for (at, agent) in agents.iter().enumerate() {
        let place = |place| RegistryPlace::ExternalAgent(Arc::clone(&agent.endpoint.name), place);
        if agents.iter().take(at).any(|earlier| earlier.name() == agent.name()) {
            let message = "there are two external agents of this name";
            faults.push(RegistryFault::at(place(ExternalAgentPlace::Whole), message));
        }
        let before = faults.len();
        let endpoint = agent.endpoint.prepare(&PROTOCOL, scope, &mut |part, position, message| {
            faults.push(RegistryFault { place: place(part.into()), position, message });
        });
        let endpoint = endpoint.filter(|_| faults.len() == before);
        prepared.extend(endpoint.map(|endpoint| Arc::new(PreparedExternalAgent { endpoint })));
    }
    prepared
}

/// An external agent as one caller has it, for one question.
pub(crate) struct ReachedAgent {
    card: Arc<KeptCard>,
    line: Line,
    carried: CarriedSecrets,
}

/// What came of a question.
pub(crate) struct AskedAgent {
    /// The answer, or why there is none, in words for a model.
    pub(crate) result: Result<String, ToolError>,
    /// May the agent have done something?
    pub(crate) was_asked: bool,
}

impl PreparedExternalAgent {
    /// Renders the headers of one question. What goes out, and what stays, is added to the trail.
    ///
    /// # Errors
    ///
    /// If a credential or a secret is missing, or the address cannot be made: nothing is sent then.
    pub(crate) fn reach(
        &self,
        fetching: &Fetching,
        pool: &CardPool,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<ReachedAgent, NotSent> {
        let reached = self.endpoint.reach(fetching, Some(context.caller()), context, values, trail)?;
        Ok(ReachedAgent { card: pool.of(reached.key), line: reached.line, carried: reached.carried })
    }

    /// What would be sent to it, to look at: secrets stand for themselves. Nothing is sent. What would go out, and what
    /// stays, is added to the trail.
    ///
    /// # Errors
    ///
    /// Where it would not be asked.
    pub(crate) fn look(
        &self,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<PreviewRequest, NotSent> {
        self.endpoint.look(context, values, trail, card::of)
    }

    /// Asks one question, and tells whoever listens what comes on the way. `trail` has the entries of [`reach`](Self::reach),
    /// which are taken back if nobody was reached.
    ///
    /// Dropped before its end, or at the end of its time, it tells the agent to cancel what it is at.
    pub(crate) async fn ask(
        &self,
        reached: ReachedAgent,
        question: &str,
        events: &Events,
        context: &RequestContext,
        trail: &mut [TrailEntry],
    ) -> AskedAgent {
        let ReachedAgent { card, line, carried } = reached;
        let limit = self.endpoint.timeout;
        let mut heard = Heard::new(events, carried);
        let mut sent = Sent::default();
        let asking = self.answered(&card, &line, question, &mut heard, &mut sent);
        let ended = match time::timeout(limit, asking).await {
            Ok(ended) => ended,
            Err(_) if sent.question => Err(Unanswered::Asked(AskFault::Timeout(limit))),
            Err(_) => Err(Unanswered::Card(AskFault::Timeout(limit))),
        };
        let result = match ended {
            Ok(ended) => told(&self.endpoint.name, ended),
            Err(why) => {
                tracing::warn!(
                    request_id = context.request_id(),
                    agent = &*self.endpoint.destination.name,
                    was_asked = sent.question,
                    "an external agent gave no answer: {}",
                    why.fault()
                );
                if let Some(fault) = why.before_sending() {
                    sent.question = false;
                    if !sent.anything {
                        trail.iter_mut().for_each(|entry| reached_nobody(entry, &fault));
                    }
                }
                // Who listens has all that was said.
                heard.finish().await;
                Err(failed(&self.endpoint.name, why, &heard))
            }
        };
        AskedAgent { result, was_asked: sent.question }
    }

    async fn answered(
        &self,
        card: &KeptCard,
        line: &Line,
        question: &str,
        heard: &mut Heard<'_>,
        sent: &mut Sent,
    ) -> Result<Ended, Unanswered> {
        let limit = self.endpoint.timeout;
        let believed = card.interface(line, &line.url, limit, None).await.map_err(Unanswered::Card)?;
        sent.anything = believed.is_fresh;
        let mut interface = believed.interface;
        let mut again = false;
        loop {
            sent.question = true;
            match Conversation::new(line, &interface, limit, heard).ask(question).await {
                // What the card said may have changed: it is asked for once more.
                Err(why) if !again && why.is_stale() => {
                    (again, sent.anything) = (true, true);
                    match card.interface(line, &line.url, limit, Some(&interface)).await {
                        Ok(newer) if *newer.interface != *interface => interface = newer.interface,
                        _ => return Err(why),
                    }
                }
                ended => return ended,
            }
        }
    }
}

/// What has been sent.
#[derive(Default)]
struct Sent {
    anything: bool,
    question: bool,
}
