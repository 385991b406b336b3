//! A destination that is no LLM: a fetcher, a tool, an MCP server, an external agent. Only its own headers go there.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;

use super::headers::{HeaderTemplate, HeaderTemplates, NoValue};
use crate::context::RequestContext;
use crate::request::{NotSent, NotSentReason, RequestPlace};
use crate::template::View;
use crate::trail::{DestinationKind, Layer, RequestPart, TrailEntry};

/// A destination that is no LLM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As a trail names it: `context.user`, `tools.get_order`, `mcp_servers.crm`, `external_agents.legal`.
    pub name: Arc<str>,
    /// What kind of destination it is.
    pub kind: DestinationKind,
}

impl Destination {
    /// A destination, by the name that a trail has for it.
    pub fn new(name: impl Into<Arc<str>>, kind: DestinationKind) -> Self {
        Self { name: name.into(), kind }
    }

    /// The headers of one call: those of its own configuration, and no others. `view` is one of
    /// [`header_view`](crate::header_view), or [`View::of`] for [`Sink::Header`](crate::Sink::Header).
    ///
    /// A header that lacks a value is left out, and the trail says so. All values are marked sensitive.
    ///
    /// # Errors
    /// The call is not made, and the trail says that too, where a credential or a header made of a secret has no value, where
    /// a value holds a control character, and where a template fails.
    pub fn headers(
        &self,
        templates: &HeaderTemplates,
        context: &RequestContext,
        view: &View,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<HeaderMap, NotSent> {
        self.or_nothing(trail, |trail| {
            let mut headers = HeaderMap::with_capacity(templates.entries().len() + 2);
            for header in templates.entries() {
                let value = header.value(view);
                let reason = match &value {
                    Ok(Some(_)) => None,
                    Ok(None) => Some("a value it names is missing"),
                    Err(_) => Some("it has no value that can be sent"),
                };
                trail.push(self.entry(context, &header.label, &header.from, None, reason));
                match value {
                    Ok(value) => headers.extend(value.map(|value| (header.name.clone(), value))),
                    Err(no) => return Err(not_sent(header, &no, view)),
                }
            }
            Ok(headers)
        })
    }

    /// Does something that notes in the trail what is sent. If it fails nothing was, and the trail says so.
    pub(crate) fn or_nothing<T>(
        &self,
        trail: &mut Vec<TrailEntry>,
        work: impl FnOnce(&mut Vec<TrailEntry>) -> Result<T, NotSent>,
    ) -> Result<T, NotSent> {
        let noted = trail.len();
        let done = work(trail);
        if done.is_err() {
            for entry in trail.iter_mut().skip(noted).filter(|entry| entry.sent) {
                entry.sent = false;
                entry.reason = Some(Cow::Borrowed("the call was not made"));
            }
        }
        done
    }

    pub(crate) fn entry(
        &self,
        context: &RequestContext,
        header: &Arc<str>,
        from: &Arc<str>,
        part: Option<RequestPart>,
        reason: Option<&'static str>,
    ) -> TrailEntry {
        TrailEntry {
            agent: context.shared_agent(),
            destination: Arc::clone(&self.name),
            kind: self.kind,
            header: Arc::clone(header),
            from: Arc::clone(from),
            part,
            layer: Layer::Destination,
            sent: reason.is_none(),
            reason: reason.map(Cow::Borrowed),
        }
    }
}

fn not_sent(header: &HeaderTemplate, no: &NoValue, view: &View) -> NotSent {
    let place = RequestPlace::Header(header.label.to_string());
    match no {
        NoValue::Missing => NotSent::missing(NotSentReason::MissingCredential, place, header.template.missing(view)),
        NoValue::Control => NotSent::new(NotSentReason::InvalidValue, place, "would hold a control character"),
        NoValue::Failed(error) => NotSent::failed(place, error),
    }
}
