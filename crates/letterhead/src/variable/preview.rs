//! The requests of context variables as someone may look at them before they are sent.

use std::sync::Arc;

use http::{HeaderMap, Method};
use letterhead_context::name::looks_secret;
use letterhead_context::{
    HeaderTemplates, Layer, RenderedRequest, RequestContext, RequestPlace, TrailEntry, Url, Values, VariableValues,
};
use serde_json::Value;

use super::graph;
use super::prepare::PreparedVariable;
use super::turn::{Resolved, Unavailable, entry};
use crate::run::PreviewHeader;
use crate::token_exchange::PreparedExchange;

/// What stands for a value that may be a secret and has no name of its own.
const HIDDEN: &str = "********";

/// How a placeholder begins in a URL.
const ENCODED_QUOTE: &str = "%E2%80%B9";

/// The request of a context variable, or of an MCP server's tools, to look at. What is secret stands for itself, as `‹headers.auth_token›`, and so does
/// what has not been fetched, as `‹user.id›`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviewRequest {
    /// Whose it is, as a trail names it: `context.user`, `mcp_servers.crm`.
    pub destination: Arc<str>,
    /// The method.
    pub method: Method,
    /// The URL. What stands for a value is not encoded in it.
    pub url: String,
    /// The headers of its own configuration that would be sent.
    pub headers: Vec<PreviewHeader>,
    /// The body, if it has one.
    pub body: Option<String>,
}

/// What a look at some variables gives.
#[derive(Default)]
pub(crate) struct Look {
    /// The requests, each behind those that it waits for.
    pub(crate) requests: Vec<PreviewRequest>,
    /// The values that were asked for.
    pub(crate) values: VariableValues,
    /// What would be sent, and what stays.
    pub(crate) trail: Vec<TrailEntry>,
}

/// What is known of a variable: no value; a value; or none yet, and so it stands for itself.
type Known = Result<Option<Option<Arc<Value>>>, Unavailable>;

/// Renders the requests that some variables need, and sends none. `fetched` gives the outcomes of those that were fetched.
///
/// # Errors
///
/// If one that is asked for cannot have a value.
pub(crate) fn look(
    variables: &[PreparedVariable],
    needs: &[usize],
    context: &RequestContext,
    state: &Arc<Value>,
    fetched: impl Fn(usize) -> Option<Resolved>,
) -> Result<Look, Unavailable> {
    let all: Vec<Vec<usize>> = variables.iter().map(|variable| variable.needs.to_vec()).collect();
    let mut known: Vec<Option<Known>> = vec![None; variables.len()];
    let mut look = Look::default();
    for at in graph::order(&all, needs) {
        let Some(variable) = variables.get(at) else { continue };
        let found = look_at(variable, variables, &known, context, state, &mut look);
        let found = match (fetched(at), found) {
            (Some(outcome), _) => outcome.map(|value| value.map(Some)),
            (None, found) => found,
        };
        if let Some(slot) = known.get_mut(at) {
            *slot = Some(found);
        }
    }
    look.values = values(variables, needs, &known, Shown::Whole)?;
    Ok(look)
}

fn look_at(
    variable: &PreparedVariable,
    variables: &[PreparedVariable],
    known: &[Option<Known>],
    context: &RequestContext,
    state: &Arc<Value>,
    look: &mut Look,
) -> Known {
    let mut left_out = |reason: String| look.trail.push(entry(variable, context, reason.into()));
    let without = |unavailable: &Unavailable| variable.without(unavailable).1.map(|value| value.map(Some));
    let needed = match values(variables, &variable.needs, known, Shown::Whole) {
        Ok(needed) => needed,
        Err(unavailable) => {
            left_out(unavailable.to_string());
            return without(&unavailable);
        }
    };
    let values = Values { state: Some(Arc::clone(state)), variables: needed, masked: true, ..Values::default() };
    if !variable.requires.iter().all(|requirement| requirement.is_met(context, &values)) {
        left_out(variable.skipped());
        return Ok(variable.default.clone().map(Some));
    }
    if let Some(exchange) = &variable.exchange {
        let refused = exchange.refuses(context);
        look.trail.push(exchange.entry(context, &variable.to(), refused.as_ref()));
        if let Some(no) = refused {
            return without(&Unavailable::new(variable, no.to_string()));
        }
    }
    // Whether it can be sent, its own values say; it is shown with what stands for them.
    if let Err(not_sent) = variable.request.render(&variable.to(), context, &values, &mut look.trail) {
        return without(&Unavailable::new(variable, not_sent.to_string()));
    }
    if let Ok(needed) = self::values(variables, &variable.needs, known, Shown::Masked) {
        let values = Values { variables: needed, ..values };
        let request = variable.request.render(&variable.to(), context, &values, &mut Vec::new());
        look.requests.extend(request.ok().map(|request| shown(variable, &request)));
    }
    Ok(Some(None))
}

/// How values are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// As they are.
    Whole,
    /// One that a secret fetched stands for itself.
    Masked,
}

fn values(
    variables: &[PreparedVariable],
    needs: &[usize],
    known: &[Option<Known>],
    shown: Shown,
) -> Result<VariableValues, Unavailable> {
    let mut there = Vec::with_capacity(needs.len());
    for at in needs {
        let (Some(variable), Some(Some(found))) = (variables.get(*at), known.get(*at)) else { continue };
        if let Some(value) = found.clone()? {
            let is_masked = shown == Shown::Masked && variable.secret && value != variable.default;
            there.push((Arc::clone(&variable.name), value.filter(|_| !is_masked)));
        }
    }
    Ok(VariableValues::new(there))
}

fn shown(variable: &PreparedVariable, request: &RenderedRequest) -> PreviewRequest {
    PreviewRequest {
        destination: Arc::clone(&variable.destination),
        method: request.method.clone(),
        url: shown_url(variable, &request.url),
        headers: shown_headers(variable.request.headers(), &request.headers, variable.exchange.as_deref()),
        body: request.body.as_deref().map(|body| shown_body(variable, body)),
    }
}

/// The headers of a configuration that are on a request. What nobody may see is not shown.
pub(crate) fn shown_headers(
    configured: &HeaderTemplates,
    headers: &HeaderMap,
    exchange: Option<&PreparedExchange>,
) -> Vec<PreviewHeader> {
    let configured = configured.iter();
    let sent = configured.filter_map(|(name, reads, hidden)| {
        let value = headers.get(&**name)?;
        let from: Vec<_> = reads.iter().map(|read| (read.label(), Layer::Destination)).collect();
        let from = if from.is_empty() { vec![(Arc::from("literal"), Layer::Destination)] } else { from };
        let value = (!hidden).then(|| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Some(PreviewHeader { name: Arc::clone(name), value, from })
    });
    sent.chain(exchange.map(PreparedExchange::shown)).collect()
}

fn shown_url(variable: &PreparedVariable, url: &Url) -> String {
    // Text that the environment may have a part in, from the first character to the last.
    if variable.literal_url {
        return format!("{}/\u{2026}", url.origin().ascii_serialization());
    }
    let mut text = format!("{}{}", url.origin().ascii_serialization(), url.path());
    if let Some(query) = url.query() {
        text.push('?');
        text.push_str(&shown_pairs(variable, query, url.query_pairs().map(|(name, _)| name.into_owned())));
    }
    readable(&text)
}

/// Pairs as they are written, without the values that may be secrets.
fn shown_pairs(variable: &PreparedVariable, written: &str, names: impl Iterator<Item = String>) -> String {
    let pairs = written.split('&').filter(|pair| !pair.is_empty()).zip(names).map(|(pair, name)| {
        let hidden = variable.literals.contains(&name) || looks_secret(&name);
        match pair.split_once('=') {
            Some((name, value)) if hidden && !value.contains(ENCODED_QUOTE) => format!("{name}={HIDDEN}"),
            _ => pair.to_owned(),
        }
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Placeholders as they are read.
fn readable(text: &str) -> String {
    text.replace(ENCODED_QUOTE, "\u{2039}").replace("%E2%80%BA", "\u{203a}")
}

fn shown_body(variable: &PreparedVariable, body: &[u8]) -> String {
    if let Ok(mut json) = serde_json::from_slice::<Value>(body) {
        hide(&mut json);
        // A text with a template, and nothing that is read: it was written so because the environment has a part in it.
        for (place, template) in variable.request.templates() {
            if let RequestPlace::Body(pointer) = place
                && template.reads().is_empty()
                && let Some(leaf) = json.pointer_mut(&pointer)
            {
                *leaf = Value::from(HIDDEN);
            }
        }
        return json.to_string();
    }
    let form = String::from_utf8_lossy(body);
    let parse = Url::parse(&format!("http://form/?{form}")).ok();
    let names: Vec<String> =
        parse.iter().flat_map(|url| url.query_pairs().map(|(name, _)| name.into_owned())).collect();
    readable(&shown_pairs(variable, &form, names.into_iter()))
}

/// Hides the texts of members that are called as secrets are, but not what stands for a value.
fn hide(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if looks_secret(name) && !text.contains('\u{2039}') => HIDDEN.clone_into(text),
                    other => hide(other),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
