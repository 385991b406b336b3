//! What can go where, as the JSON of `letterhead map` has it. The fields are the format: they may become more, and none
//! changes its meaning within a `version`.

use std::sync::Arc;

use letterhead::{Reach, Route};
use letterhead_context::name::{folded, is_identity};
use letterhead_context::{HeaderSchema, Read};
use serde::Serialize;

use crate::assembly::Checked;
use crate::config::{AliasTarget, Config};

/// The whole map.
#[derive(Debug, Serialize)]
pub(super) struct Survey {
    version: u8,
    /// Every declared header.
    pub(super) headers: Vec<Declared>,
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

/// One way of a header.
#[derive(Debug, Serialize)]
pub(super) struct Way {
    /// The place of the configuration that names it.
    pub(super) destination: Arc<str>,
    /// The outbound header that it goes into; none for instructions.
    pub(super) into: Option<Arc<str>>,
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
    /// `llm` or `instructions`, as in a trail.
    kind: &'static str,
    pub(super) receives: Vec<Received>,
}

/// Something that a destination can receive.
#[derive(Debug, Serialize)]
pub(super) struct Received {
    /// The outbound header; none for what stands in a prompt.
    pub(super) header: Option<Arc<str>>,
    /// What the value is made of, as a trail says it.
    pub(super) from: Vec<Arc<str>>,
    /// The place of the configuration that sets it.
    pub(super) set_by: Arc<str>,
    pub(super) secret: bool,
    /// Only where the model is chosen for a request.
    pub(super) by_choice: bool,
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
        let named = routes.iter().filter(|route| reads(route, field.name())).map(|route| Way {
            destination: Arc::clone(&route.place),
            into: route.into.clone(),
            providers: route.reach.clone().into(),
        });
        // A declared header that is also a runtime header goes out as it came in, too.
        let passed_on = runtime.iter().filter(|row| folded(&row.name) == folded(field.name())).map(|row| Way {
            destination: Arc::from("runtime_headers"),
            into: Some(row.name.as_str().into()),
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

fn destinations(routes: &[Route], runtime: &[Runtime], reach: &Reach) -> Vec<Destination> {
    let mut destinations: Vec<Destination> = Vec::new();
    let mut add = |name: &Arc<str>, kind, received| match destinations.iter_mut().find(|known| known.name == *name) {
        Some(known) => known.receives.push(received),
        None => destinations.push(Destination { name: Arc::clone(name), kind, receives: vec![received] }),
    };
    for route in routes.iter().filter(|route| route.into.is_none()) {
        add(&route.place, "instructions", received(route, false));
    }
    for route in routes {
        route.reach.configured.iter().for_each(|provider| add(provider, "llm", received(route, false)));
        route.reach.chosen.iter().for_each(|provider| add(provider, "llm", received(route, true)));
    }
    let chosen = reach.chosen.iter().map(|provider| (provider, true));
    for (provider, by_choice) in reach.configured.iter().map(|provider| (provider, false)).chain(chosen) {
        for row in runtime {
            let set_by: Arc<str> = Arc::from("runtime_headers");
            let (header, from) = (Some(row.name.as_str().into()), vec![Arc::clone(&set_by)]);
            add(provider, "llm", Received { header, from, set_by, secret: false, by_choice });
        }
    }
    destinations
}

fn received(route: &Route, by_choice: bool) -> Received {
    let from = match route.reads.as_slice() {
        [] if route.is_credential => vec![Arc::from("api_key")],
        [] => vec![Arc::from("literal")],
        reads => reads.iter().map(Read::label).collect(),
    };
    let (header, set_by) = (route.into.clone(), Arc::clone(&route.place));
    Received { header, from, set_by, secret: route.hidden, by_choice }
}
