//! Which values can leave, and where to: known from the configuration alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use letterhead_context::{Destination, DestinationKind, Read, RequestPart, RequestPlace, RequestTemplate, Url};

use super::model_name::resolve;
use super::{PreparedInstructions, PreparedProvider, Registry};
use crate::token_exchange::PreparedExchange;

/// A header that something reads: who, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderRead {
    /// The declared header.
    pub header: Arc<str>,
    /// The destination, as a trail names it.
    pub destination: Arc<str>,
    /// The outbound header that it goes into; none for instructions, addresses and bodies.
    pub into: Option<Arc<str>>,
}

/// A place of the configuration that lets something out: a provider's or an agent's header, instructions that read
/// something, or a part of the request of a context variable or a tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// The place: `providers.openai`, `agents.assistant.headers`, `agents.assistant.instructions`, `context.user`.
    pub place: Arc<str>,
    /// What kind of thing receives it.
    pub kind: DestinationKind,
    /// The outbound header that is set; none for instructions, addresses and bodies.
    pub into: Option<Arc<str>>,
    /// The part of a request that it goes into, if that is no header.
    pub part: Option<RequestPart>,
    /// What the value is made of; nothing for text that is the same for every call.
    pub reads: Vec<Read>,
    /// Is it a provider's own credential (`api_key`)?
    pub is_credential: bool,
    /// Is the value one that nobody may see?
    pub hidden: bool,
    /// The model APIs that receive it; none for a request of a context variable or a tool.
    pub reach: Reach,
    /// Where that request goes, as far as it is written out: `https://api.example.com`.
    pub address: Option<Arc<str>>,
}

/// The providers that something can reach, as a trail names them: `providers.openai`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// As it is configured.
    pub configured: Vec<Arc<str>>,
    /// Besides, where a caller chooses the model (`X-Model-Name`, an alias), or one agent chooses it for another.
    pub chosen: Vec<Arc<str>>,
}

impl Registry {
    /// Every declared header that a template names, with where it goes: known from the configuration alone.
    pub fn header_reads(&self) -> Vec<HeaderRead> {
        let read = |route: &Route, read: &Read| match read {
            Read::Header { name, .. } => Some(HeaderRead {
                header: Arc::clone(name),
                destination: Arc::clone(&route.place),
                into: if route.is_credential { Some(Arc::from("credential")) } else { route.into.clone() },
            }),
            _ => None,
        };
        let routes = self.routes([]);
        routes.iter().flat_map(|route| route.reads.iter().filter_map(|one| read(route, one))).collect()
    }

    /// Every way out that the configuration opens, providers first. What of it happens in a turn, the trail says.
    ///
    /// `aliases` are models that callers may choose besides those of [`allowed_model`](Self::allowed_model).
    pub fn routes<'a>(&self, aliases: impl IntoIterator<Item = &'a str>) -> Vec<Route> {
        let choosable = self.choosable(aliases);
        let mut routes = Vec::new();
        for provider in &self.providers {
            let mut add = |into: &str, reads: &[Read], is_credential, hidden| {
                routes.push(Route {
                    place: Arc::clone(&provider.destination),
                    kind: DestinationKind::Llm,
                    into: Some(Arc::from(into)),
                    part: None,
                    reads: reads.to_vec(),
                    is_credential,
                    hidden,
                    reach: Reach { configured: vec![Arc::clone(&provider.destination)], chosen: Vec::new() },
                    address: None,
                });
            };
            if let Some(credential) = &provider.credential {
                add(credential.name().as_str(), credential.reads(), true, true);
            }
            provider.headers.iter().for_each(|(into, reads, hidden)| add(into, reads, false, hidden));
        }
        for prepared in &self.agents {
            let name = prepared.agent.name();
            let mut add = |place: &str, into: Option<&Arc<str>>, reads: &[Read], hidden| {
                routes.push(Route {
                    place: format!("agents.{name}.{place}").into(),
                    kind: if into.is_some() { DestinationKind::Llm } else { DestinationKind::Instructions },
                    into: into.cloned(),
                    part: None,
                    reads: reads.to_vec(),
                    is_credential: false,
                    hidden,
                    reach: self.reach([prepared.model.provider], &choosable),
                    address: None,
                });
            };
            if let PreparedInstructions::Template(template, _) = &prepared.instructions {
                add("instructions", None, template.reads(), false);
            }
            for described in &prepared.described {
                let place = format!("tools.{}.description", described.tool.spec.name());
                described
                    .tool
                    .description()
                    .into_iter()
                    .for_each(|template| add(&place, None, template.reads(), false));
            }
            prepared.headers.iter().for_each(|(into, reads, hidden)| add("headers", Some(into), reads, hidden));
        }
        for variable in &self.variables {
            routes.extend(of_request(&variable.destination, DestinationKind::Fetcher, &variable.request));
            routes.extend(of_exchange(&variable.to(), &variable.request, variable.exchange.as_deref()));
        }
        for tool in &self.http_tools {
            routes.extend(of_request(&tool.destination.name, tool.destination.kind, &tool.request));
            routes.extend(of_exchange(&tool.destination, &tool.request, tool.exchange.as_deref()));
        }
        let servers = self.mcp_servers.iter().map(|server| &server.endpoint);
        for endpoint in servers.chain(self.external_agents.iter().map(|agent| &agent.endpoint)) {
            routes.extend(of_request(&endpoint.destination.name, endpoint.destination.kind, &endpoint.request));
            routes.extend(of_exchange(&endpoint.destination, &endpoint.request, endpoint.exchange.as_deref()));
        }
        routes
    }

    /// Where runtime headers go: to every provider that a call can be made to.
    pub fn runtime_reach<'a>(&self, aliases: impl IntoIterator<Item = &'a str>) -> Reach {
        self.reach(self.agents.iter().map(|prepared| prepared.model.provider), &self.choosable(aliases))
    }

    fn reach(&self, configured: impl IntoIterator<Item = usize>, choosable: &BTreeSet<usize>) -> Reach {
        let configured: BTreeSet<usize> = configured.into_iter().collect();
        let named = |at: &usize| self.providers.get(*at).map(|provider| Arc::clone(&provider.destination));
        Reach {
            chosen: choosable.difference(&configured).filter_map(named).collect(),
            configured: configured.iter().filter_map(named).collect(),
        }
    }

    /// The providers that a caller may choose. The demo model that nobody configured is left out: it is in this process.
    fn choosable<'a>(&self, aliases: impl IntoIterator<Item = &'a str>) -> BTreeSet<usize> {
        let patterns = self.allow_models.as_deref();
        let may = |provider: &PreparedProvider, at: usize| {
            patterns.is_none_or(|patterns| patterns.iter().any(|pattern| self.may_match(pattern, provider, at)))
        };
        let providers = self.providers.iter().enumerate();
        let mut choosable: BTreeSet<usize> =
            providers.filter(|(at, provider)| !provider.is_built_in && may(provider, *at)).map(|(at, _)| at).collect();
        choosable.extend(aliases.into_iter().filter_map(|name| self.model(name)).map(|model| model.provider));
        choosable
    }

    /// Could a pattern of `allow_models` allow a model of this provider? Where it is not sure, yes.
    fn may_match(&self, pattern: &str, provider: &PreparedProvider, at: usize) -> bool {
        let is_at = |name: &str| resolve(&self.providers, name).is_some_and(|model| model.provider == at);
        match pattern.split_once('*') {
            None => is_at(pattern),
            Some((start, _)) => match start.split_once(':') {
                Some((wanted, _)) => is_at(&format!("{wanted}:any")),
                None => provider.name.starts_with(start) || provider.kind.as_str().starts_with(start),
            },
        }
    }
}

/// What the token of a request is traded for, and where; and the token itself, which goes with the request.
fn of_exchange(to: &Destination, request: &RequestTemplate, exchange: Option<&PreparedExchange>) -> Vec<Route> {
    let Some(exchange) = exchange else { return Vec::new() };
    let route = |place, into, part, reads, address: Option<&Url>| Route {
        place,
        kind: to.kind,
        into,
        part,
        reads,
        is_credential: false,
        hidden: true,
        reach: Reach::default(),
        address: address.map(|url| Arc::from(url.origin().ascii_serialization())),
    };
    let (header, token) = PreparedExchange::header();
    let traded: Arc<str> = format!("{}.{token}", to.name).into();
    vec![
        route(Arc::clone(&to.name), Some(header), None, vec![Read::Root(token)], request.address()),
        route(traded, None, Some(RequestPart::Body), exchange.reads(), Some(exchange.endpoint())),
    ]
}

/// What a request carries: each header, and each other part that is made of something.
fn of_request(destination: &Arc<str>, kind: DestinationKind, request: &RequestTemplate) -> Vec<Route> {
    let address = request.address().map(|url| Arc::from(url.origin().ascii_serialization()));
    let route = |into: Option<&Arc<str>>, part, reads: Vec<Read>, hidden| Route {
        place: Arc::clone(destination),
        kind,
        into: into.cloned(),
        part,
        reads,
        is_credential: false,
        hidden,
        reach: Reach::default(),
        address: address.clone(),
    };
    let headers = request.headers().iter();
    let mut routes: Vec<Route> =
        headers.map(|(into, reads, hidden)| route(Some(into), None, reads.to_vec(), hidden)).collect();
    for part in [RequestPart::Url, RequestPart::Query, RequestPart::Body] {
        let mut reads: Vec<Read> = Vec::new();
        for (place, template) in request.templates() {
            let of_this = match place {
                RequestPlace::Url => part == RequestPart::Url,
                RequestPlace::Query(_) => part == RequestPart::Query,
                _ => part == RequestPart::Body,
            };
            let new = template.reads().iter().filter(|_| of_this);
            for read in new {
                if !reads.contains(read) {
                    reads.push(read.clone());
                }
            }
        }
        if !reads.is_empty() {
            let hidden = reads.iter().any(Read::is_secret);
            routes.push(route(None, Some(part), reads, hidden));
        }
    }
    routes
}
