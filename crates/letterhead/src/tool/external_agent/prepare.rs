//! Makes an external agent ready: its templates and names checked; and asks it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use letterhead_context::{
    BodySource, CarriedSecrets, Destination, DestinationKind, NotSent, RequestContext, RequestPlace, RequestSource,
    RequestTemplate, Scope, TextSource, TrailEntry, Values,
};
use tokio::time;

use super::ask::Line;
use super::card::{self, KeptCard};
use super::conversation::{Conversation, Ended};
use super::heard::Heard;
use super::result::{Unanswered, failed, told};
use super::{CardPool, ExternalAgent, ExternalAgentPlace};
use crate::agent::Text;
use crate::outbound::Url;
use crate::registry::{RegistryFault, RegistryPlace};
use crate::run::Events;
use crate::token_exchange::{PreparedExchange, prepare_exchange};
use crate::tool::ToolError;
use crate::tool::json_rpc::AskFault;
use crate::tool::kept::Key;
use crate::variable::{Fetching, PreviewRequest, needed, reached_nobody, shown_headers};

/// Headers that the protocol itself sets, beside all that begin with `a2a-`.
const OWN_HEADERS: [&str; 2] = ["accept", "last-event-id"];

/// An external agent, ready to be asked.
#[derive(Debug)]
pub(crate) struct PreparedExternalAgent {
    pub(crate) name: Arc<str>,
    /// As a trail names it: `external_agents.legal`.
    pub(crate) destination: Destination,
    pub(crate) request: RequestTemplate,
    /// Is its address text that the environment may have a part in?
    literal_url: bool,
    per_call: Vec<HeaderName>,
    timeout: Duration,
    trace: bool,
    /// How the token of its requests is got.
    pub(crate) exchange: Option<Arc<PreparedExchange>>,
    /// The context variables that its templates read, by place.
    pub(crate) variables: Vec<usize>,
}

/// Checks external agents.
pub(crate) fn prepare_external_agents(
    agents: &[ExternalAgent],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Vec<Arc<PreparedExternalAgent>> {
    let mut prepared = Vec::with_capacity(agents.len());
    for (at, agent) in agents.iter().enumerate() {
        if agents.iter().take(at).any(|earlier| earlier.name == agent.name) {
            faults.push(fault(agent, ExternalAgentPlace::Whole, "there are two external agents of this name"));
        }
        prepared.extend(prepare(agent, scope, faults).map(Arc::new));
    }
    prepared
}

fn fault(agent: &ExternalAgent, place: ExternalAgentPlace, message: impl Into<String>) -> RegistryFault {
    RegistryFault::at(RegistryPlace::ExternalAgent(Arc::clone(&agent.name), place), message)
}

fn prepare(agent: &ExternalAgent, scope: Scope<'_>, faults: &mut Vec<RegistryFault>) -> Option<PreparedExternalAgent> {
    let before = faults.len();
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(1..=48).contains(&agent.name.len()) || !agent.name.bytes().all(is_name_byte) {
        let message = "an agent's name is 1 to 48 letters, digits, `_` or `-`";
        faults.push(fault(agent, ExternalAgentPlace::Whole, message));
    }
    for (name, _) in &agent.headers {
        let lower = name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&&*lower) || lower.starts_with("a2a-") {
            let place = ExternalAgentPlace::Request(RequestPlace::Header(name.clone()));
            faults.push(fault(agent, place, format!("the header `{lower}` belongs to the protocol, which sets it")));
        }
    }
    if agent.timeout.is_zero() {
        faults.push(fault(agent, ExternalAgentPlace::Timeout, "a question needs more time than none"));
    }
    let request = RequestTemplate::compile(source(agent), scope).map_err(|found| {
        faults.extend(found.into_iter().map(
            |letterhead_context::RequestFault { place, position, message, .. }| {
                let place = ExternalAgentPlace::Request(place);
                let place = RegistryPlace::ExternalAgent(Arc::clone(&agent.name), place);
                RegistryFault { place, position, message }
            },
        ));
    });
    let destination = Destination::new(format!("external_agents.{}", agent.name), DestinationKind::ExternalAgent);
    let exchange = exchange(agent, &destination, scope, faults);
    let request = request.ok()?;
    if faults.len() > before {
        return None;
    }
    Some(PreparedExternalAgent {
        name: Arc::clone(&agent.name),
        destination,
        exchange,
        variables: needed(request.reads().map(|(_, read)| read), scope.variables),
        request,
        literal_url: agent.url.is_literal(),
        per_call: agent.per_call.iter().filter_map(|name| name.parse().ok()).collect(),
        timeout: agent.timeout,
        trace: agent.trace,
    })
}

fn exchange(
    agent: &ExternalAgent,
    destination: &Destination,
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Option<Arc<PreparedExchange>> {
    let headers = agent.headers.iter().map(|(name, _)| name.as_str());
    let prepared = prepare_exchange(agent.exchange.as_ref()?, &destination.name, headers, scope);
    let prepared = prepared.map_err(|found| {
        faults.extend(found.into_iter().map(|(part, position, message)| {
            let place = RegistryPlace::ExternalAgent(Arc::clone(&agent.name), ExternalAgentPlace::Request(part));
            RegistryFault { place, position, message }
        }));
    });
    prepared.ok()
}

fn source(agent: &ExternalAgent) -> RequestSource<'_> {
    fn text(text: &Text) -> TextSource<'_> {
        if text.is_literal() { TextSource::Literal(text.source()) } else { TextSource::Template(text.source()) }
    }
    RequestSource {
        method: Method::GET,
        url: text(&agent.url),
        headers: agent.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect(),
        query: Vec::new(),
        body: BodySource::None,
    }
}

/// An external agent as one caller has it, for one question.
pub(crate) struct ReachedAgent {
    card: Arc<KeptCard>,
    address: Url,
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
        let pass = fetching.pass(self.exchange.as_ref(), context).inspect_err(|no| {
            trail.extend(self.exchange.as_ref().map(|exchange| exchange.entry(context, &self.destination, Some(no))));
        })?;
        let request = self.request.render(&self.destination, context, values, trail)?;
        trail.extend(self.exchange.as_ref().map(|exchange| exchange.entry(context, &self.destination, None)));
        let carried = self.request.carried(context, &request);
        let key = Key {
            kind: "a2a",
            name: &self.name,
            caller: Some(context.caller()),
            request: &request,
            per_call: &self.per_call,
            pass: pass.as_ref(),
        };
        let card = pool.of(key.fingerprint(&fetching.fingerprints));
        let trace = context.trace().copied().filter(|_| self.trace);
        let line = Line { client: fetching.client.clone(), headers: request.headers, trace, pass };
        Ok(ReachedAgent { card, address: request.url, line, carried })
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
        let masked = Values { masked: true, ..values.clone() };
        if let Some(exchange) = &self.exchange {
            let refused = exchange.refuses(context);
            trail.push(exchange.entry(context, &self.destination, refused.as_ref()));
            refused.map_or(Ok(()), Err)?;
        }
        let request = self.request.render(&self.destination, context, &masked, trail)?;
        let origin = request.url.origin().ascii_serialization();
        let path = card::of(&request.url).path().to_owned();
        Ok(PreviewRequest {
            destination: Arc::clone(&self.destination.name),
            method: request.method,
            url: if self.literal_url { format!("{origin}/…") } else { format!("{origin}{path}") },
            headers: shown_headers(self.request.headers(), &request.headers, self.exchange.as_deref()),
            body: None,
        })
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
        let ReachedAgent { card, address, line, carried } = reached;
        let mut heard = Heard::new(events, carried);
        let mut sent = Sent::default();
        let asking = self.answered((&card, &address), &line, question, &mut heard, &mut sent);
        let ended = match time::timeout(self.timeout, asking).await {
            Ok(ended) => ended,
            Err(_) if sent.question => Err(Unanswered::Asked(AskFault::Timeout(self.timeout))),
            Err(_) => Err(Unanswered::Card(AskFault::Timeout(self.timeout))),
        };
        let result = match ended {
            Ok(ended) => told(&self.name, ended),
            Err(why) => {
                tracing::warn!(
                    request_id = context.request_id(),
                    agent = &*self.destination.name,
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
                Err(failed(&self.name, why, &heard))
            }
        };
        AskedAgent { result, was_asked: sent.question }
    }

    async fn answered(
        &self,
        (card, address): (&KeptCard, &Url),
        line: &Line,
        question: &str,
        heard: &mut Heard<'_>,
        sent: &mut Sent,
    ) -> Result<Ended, Unanswered> {
        let limit = self.timeout;
        let believed = card.interface(line, address, limit, None).await.map_err(Unanswered::Card)?;
        sent.anything = believed.is_fresh;
        let mut interface = believed.interface;
        let mut again = false;
        loop {
            sent.question = true;
            match Conversation::new(line, &interface, limit, heard).ask(question).await {
                // What the card said may have changed: it is asked for once more.
                Err(why) if !again && why.is_stale() => {
                    (again, sent.anything) = (true, true);
                    match card.interface(line, address, limit, Some(&interface)).await {
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
