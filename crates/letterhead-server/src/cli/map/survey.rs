//! What can go where, as the JSON of `letterhead map` has it. The fields are the format: they may become more, and none
//! changes its meaning within a `version`.

use std::sync::Arc;

use letterhead::{Reach, Registry, Route};
use letterhead_context::name::{folded, is_identity};
use letterhead_context::{DestinationKind, HeaderSchema, Read, RequestPart};
use serde::Serialize;

use crate::assembly::Checked;
use crate::config::{AliasTarget, Config};

/// The whole map.
#[derive(Debug, Serialize)]
pub(super) struct Survey {
    version: u8,
    /// Every declared header.
    pub(super) headers: Vec<Declared>,
    /// Every context variable.
    pub(super) variables: Vec<Variable>,
    /// Every row of `runtime_headers`.
    pub(super) runtime_headers: Vec<Runtime>,
    /// Every destination that receives anything.
    pub(super) destinations: Vec<Destination>,
}

/// A declared header, and everything that it can reach.
#[derive(Debug, Serialize)]
pub(super) struct Declared {
    pub(super) name: Arc<str>,
    pub(super) secret: bool,
    required: bool,
    /// Empty: it goes nowhere.
    pub(super) reaches: Vec<Way>,
}

/// A context variable, and everything that its value can reach.
#[derive(Debug, Serialize)]
pub(super) struct Variable {
    pub(super) name: Arc<str>,
    /// Empty: it is never fetched.
    pub(super) reaches: Vec<Way>,
}

/// One way of a header, or of a variable's value.
#[derive(Debug, Serialize)]
pub(super) struct Way {
    /// The place of the configuration that names it.
    pub(super) destination: Arc<str>,
    /// What kind of thing receives it, as a trail says it.
    kind: DestinationKind,
    /// The outbound header that it goes into; none for instructions, addresses and bodies.
    pub(super) into: Option<Arc<str>>,
    /// The part of a request that it goes into, if that is no header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<RequestPart>,
    /// Where the request of a context variable goes, as far as it is written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<Arc<str>>,
    #[serde(flatten)]
    pub(super) providers: Providers,
}

/// The model APIs that receive something.
#[derive(Debug, Serialize)]
pub(super) struct Providers {
    /// As it is configured.
    pub(super) providers: Vec<Arc<str>>,
    /// Besides, where the model is chosen for a request.
    pub(super) providers_by_choice: Vec<Arc<str>>,
}

/// A row of `runtime_headers`.
#[derive(Debug, Serialize)]
pub(super) struct Runtime {
    /// As it was written, with its `*`.
    pub(super) name: String,
    /// An identity header: it goes out with what the server believes, not with what was sent.
    pub(super) verified: bool,
    #[serde(flatten)]
    pub(super) providers: Providers,
}

/// A destination, and everything that it can receive.
#[derive(Debug, Serialize)]
pub(super) struct Destination {
    pub(super) name: Arc<str>,
    /// As in a trail.
    pub(super) kind: DestinationKind,
    pub(super) receives: Vec<Received>,
}

/// Something that a destination can receive.
#[derive(Debug, Serialize)]
pub(super) struct Received {
    /// The outbound header; none for what stands in a prompt, an address or a body.
    pub(super) header: Option<Arc<str>>,
    /// The part of a request that it stands in, if that is no header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<RequestPart>,
    /// What the value is made of, as a trail says it.
    pub(super) from: Vec<Arc<str>>,
    /// The place of the configuration that sets it.
    pub(super) set_by: Arc<str>,
    pub(super) secret: bool,
    /// Only where the model is chosen for a request.
    pub(super) by_choice: bool,
}

impl Way {
    /// Does it end at an API that is no model's?
    pub(super) fn is_request(&self) -> bool {
        is_request(self.kind)
    }
}

impl From<Reach> for Providers {
    fn from(reach: Reach) -> Self {
        Self { providers: reach.configured, providers_by_choice: reach.chosen }
    }
}

impl Survey {
    /// The map of a checked configuration.
    pub(super) fn of(checked: &Checked) -> Self {
        let config = &checked.loaded.config;
        let aliases = aliases(config);
        let aliases = || aliases.iter().map(String::as_str);
        let routes = checked.registry.routes(aliases());
        let reach = checked.registry.runtime_reach(aliases());
        let runtime = config.runtime_headers.iter().map(|row| Runtime {
            name: row.entry(),
            verified: row.name.parse().is_ok_and(|name| is_identity(&name)),
            providers: reach.clone().into(),
        });
        let runtime_headers: Vec<Runtime> = runtime.collect();
        Self {
            version: 1,
            headers: declared(checked.ingress.schema(), &routes, &runtime_headers, &reach),
            variables: variables(&checked.registry, &routes),
            destinations: destinations(&routes, &runtime_headers, &reach),
            runtime_headers,
        }
    }
}

/// The models that callers can choose by a name of the configuration.
fn aliases(config: &Config) -> Vec<String> {
    let targets = config.model_aliases.iter().filter_map(|alias| match &alias.target {
        AliasTarget::Model(model) => Some(model.to_string()),
        AliasTarget::Agent(_) => None,
    });
    targets.collect()
}

fn declared(schema: &HeaderSchema, routes: &[Route], runtime: &[Runtime], reach: &Reach) -> Vec<Declared> {
    let reads = |route: &&Route, field: &str| {
        route.reads.iter().any(|read| matches!(read, Read::Header { name, .. } if &**name == field))
    };
    let headers = schema.fields().iter().map(|field| {
        let named = routes.iter().filter(|route| reads(route, field.name())).map(Way::from);
        // A declared header that is also a runtime header goes out as it came in, too.
        let passed_on = runtime.iter().filter(|row| folded(&row.name) == folded(field.name())).map(|row| Way {
            destination: Arc::from("runtime_headers"),
            kind: DestinationKind::Llm,
            into: Some(row.name.as_str().into()),
            part: None,
            address: None,
            providers: reach.clone().into(),
        });
        Declared {
            name: field.shared_name(),
            secret: field.is_secret(),
            required: field.is_required(),
            reaches: named.chain(passed_on).collect(),
        }
    });
    headers.collect()
}

fn variables(registry: &Registry, routes: &[Route]) -> Vec<Variable> {
    let variables = registry.variables().map(|name| {
        let reads =
            |route: &&Route| route.reads.iter().any(|read| matches!(read, Read::Variable(read) if **read == *name));
        Variable { name: Arc::from(name), reaches: routes.iter().filter(reads).map(Way::from).collect() }
    });
    variables.collect()
}

impl From<&Route> for Way {
    fn from(route: &Route) -> Self {
        Self {
            destination: Arc::clone(&route.place),
            kind: route.kind,
            into: route.into.clone(),
            part: route.part,
            address: route.address.clone(),
            providers: route.reach.clone().into(),
        }
    }
}

fn destinations(routes: &[Route], runtime: &[Runtime], reach: &Reach) -> Vec<Destination> {
    let mut destinations: Vec<Destination> = Vec::new();
    let mut add = |name: &Arc<str>, kind, received| match destinations.iter_mut().find(|known| known.name == *name) {
        Some(known) => known.receives.push(received),
        None => destinations.push(Destination { name: Arc::clone(name), kind, receives: vec![received] }),
    };
    for route in routes.iter().filter(|route| route.kind == DestinationKind::Instructions) {
        add(&route.place, route.kind, received(route, false));
    }
    for route in routes {
        route.reach.configured.iter().for_each(|provider| add(provider, DestinationKind::Llm, received(route, false)));
        route.reach.chosen.iter().for_each(|provider| add(provider, DestinationKind::Llm, received(route, true)));
    }
    let chosen = reach.chosen.iter().map(|provider| (provider, true));
    for (provider, by_choice) in reach.configured.iter().map(|provider| (provider, false)).chain(chosen) {
        for row in runtime {
            let set_by: Arc<str> = Arc::from("runtime_headers");
            let (header, from) = (Some(row.name.as_str().into()), vec![Arc::clone(&set_by)]);
            let received = Received { header, part: None, from, set_by, secret: false, by_choice };
            add(provider, DestinationKind::Llm, received);
        }
    }
    for route in routes.iter().filter(|route| is_request(route.kind)) {
        add(&route.place, route.kind, received(route, false));
    }
    destinations
}

fn is_request(kind: DestinationKind) -> bool {
    !matches!(kind, DestinationKind::Llm | DestinationKind::Instructions)
}

fn received(route: &Route, by_choice: bool) -> Received {
    let from = match route.reads.as_slice() {
        [] if route.is_credential => vec![Arc::from("api_key")],
        [] => vec![Arc::from("literal")],
        reads => reads.iter().map(Read::label).collect(),
    };
    let (header, set_by) = (route.into.clone(), Arc::clone(&route.place));
    Received { header, part: route.part, from, set_by, secret: route.hidden, by_choice }
}
