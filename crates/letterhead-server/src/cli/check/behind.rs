//! What of a request does not go out, and why.

use http::HeaderMap;
use letterhead::HeaderRead;
use letterhead::run::Preview;
use letterhead_context::name::folded;
use letterhead_context::{Layer, TrailEntry};

use crate::cli::rules::{Fate, Rules};

/// Every header that does not go out: its name, where it would have gone, and why it stays.
///
/// `sent` are the headers of the request, `reads` what the configuration's templates name.
pub(super) fn behind(preview: &Preview, sent: &HeaderMap, rules: &Rules, reads: &[HeaderRead]) -> Vec<[String; 3]> {
    let mut behind = Vec::new();
    for name in sent.keys().map(http::HeaderName::as_str) {
        let declared = rules.declared_name(name);
        let why = match rules.fate(name) {
            Fate::Context | Fate::Secret if !goes_out(&preview.trail, &declared) => unused(&declared, reads),
            Fate::Credential if is_traded(preview) => {
                "a credential for this server: it is traded at the token endpoint, and goes nowhere else".to_owned()
            }
            Fate::Credential => "a credential for this server: it is never passed on".to_owned(),
            Fate::Undeclared => "not declared: it is dropped at the door".to_owned(),
            _ => continue,
        };
        behind.push([declared, "-".to_owned(), why]);
    }
    behind.extend(preview.trail.iter().filter(|entry| !entry.sent).map(|entry| {
        let reason = entry.reason.as_deref().unwrap_or("no reason was noted");
        let why = match entry.layer {
            Layer::Destination => reason.to_owned(),
            layer => format!("the {} layer's value: {reason}", layer_name(layer)),
        };
        [entry.header.to_string(), entry.destination.to_string(), why]
    }));
    behind
}

/// Does any request have a token that the caller's own is traded for?
fn is_traded(preview: &Preview) -> bool {
    preview.trail.iter().any(|entry| entry.sent && &*entry.from == "auth.token_exchange")
}

/// Does the value of a declared header go anywhere in this call?
fn goes_out(trail: &[TrailEntry], declared: &str) -> bool {
    let wanted = format!("headers.{declared}");
    let is_read = |entry: &TrailEntry| entry.from.split(", ").any(|from| from == wanted);
    let is_passed_on = |entry: &TrailEntry| entry.layer == Layer::Runtime && folded(&entry.header) == folded(declared);
    trail.iter().any(|entry| entry.sent && (is_read(entry) || is_passed_on(entry)))
}

/// Why a declared header is not in this call: it is another's, or nobody's.
fn unused(declared: &str, reads: &[HeaderRead]) -> String {
    let mut places: Vec<&str> =
        reads.iter().filter(|read| &*read.header == declared).map(|read| &*read.destination).collect();
    places.dedup();
    if places.is_empty() {
        return "remembered for the conversation; no template names it".to_owned();
    }
    format!("not in this call: it is for {}", places.join(", "))
}

/// A layer as the trail's API names it.
pub(super) fn layer_name(layer: Layer) -> String {
    serde_json::to_value(layer).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
