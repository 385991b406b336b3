//! Makes an HTTP tool ready: its templates, parameters and path checked; and calls it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use letterhead_context::{
    CarriedSecrets, Destination, DestinationKind, NotSent, Read, Rendered, RequestContext, RequestTemplate, Scope,
    Sink, Template, TrailEntry, Values, View,
};
use serde_json::Value;
use tokio::time;

use super::answer::{failed, not_sent, result};
use super::arguments::{Parameters, unknown_argument};
use super::{HttpTool, HttpToolPlace};
use crate::model::ToolSpec;
use crate::outbound::{Guard, OutboundFault, RetryPolicy};
use crate::registry::{RegistryFault, RegistryPlace};
use crate::token_exchange::{CallFault, Carrying, PreparedExchange};
use crate::tool::ToolError;
use crate::variable::{Fetching, Reading, Select, needed, reached_nobody};

/// An HTTP tool, ready to be called.
#[derive(Debug)]
pub(crate) struct PreparedHttpTool {
    /// As a model is told of it. Its description is empty where that is a template.
    pub(crate) spec: Arc<ToolSpec>,
    description: Option<Template>,
    parameters: Parameters,
    /// As a trail names it: `tools.get_order`.
    pub(crate) destination: Destination,
    pub(crate) request: RequestTemplate,
    reading: Reading,
    timeout: Duration,
    max_answer: usize,
    trace: bool,
    /// How the token of its calls is got.
    pub(crate) exchange: Option<Arc<PreparedExchange>>,
    pub(crate) has_effects: bool,
    pub(crate) needs_approval: bool,
    /// The context variables that its request reads, by place.
    pub(crate) variables: Vec<usize>,
}

/// A call as it goes out.
pub(crate) struct ReadyCall {
    call: Carrying,
    /// The secrets in it.
    carried: CarriedSecrets,
}

/// Checks a tool.
pub(crate) fn prepare_http_tool(
    tool: &HttpTool,
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Option<PreparedHttpTool> {
    let before = faults.len();
    let mut found = Found { tool, faults };
    let is_safe = matches!(tool.request.method(), Method::GET | Method::HEAD);
    let parameters = Parameters::compile(&tool.parameters);
    let parameters = parameters.map_err(|(at, message)| found.add(HttpToolPlace::Parameters(at), message)).ok();
    let description = found.description(scope);
    let destination = Destination::new(format!("tools.{}", tool.name), DestinationKind::Tool);
    let scope = Scope { args: true, ..scope };
    let (request, exchange) = tool.request.prepare(&destination.name, scope, &mut |place, position, message| {
        found.add_at(HttpToolPlace::Request(place), position, message);
    });
    if let (Some((_, schema)), Some(request)) = (&parameters, &request) {
        found.arguments(schema, request);
    }
    let select = tool.select.as_deref().map(Select::compile).transpose();
    let select = select.map_err(|(at, message)| found.add_at(HttpToolPlace::Select, Some((1, at)), message)).ok();
    if tool.request.timeout.is_zero() {
        found.add(HttpToolPlace::Timeout, "a call needs more time than none");
    }
    let ((parameters, schema), request) = (parameters?, request?);
    let literal = description.as_ref().and_then(Template::as_literal);
    let spec = ToolSpec::new(&tool.name, literal, schema);
    let spec = spec.map_err(|error| found.add(HttpToolPlace::Whole, error.to_string())).ok();
    let (spec, select) = (spec?, select?);
    if faults.len() > before {
        return None;
    }
    Some(PreparedHttpTool {
        spec: Arc::new(spec),
        description: description.filter(|template| template.as_literal().is_none()),
        parameters,
        destination,
        exchange,
        variables: needed(request.reads().map(|(_, read)| read), scope.variables),
        request,
        reading: Reading { schema: None, select },
        timeout: tool.request.timeout,
        max_answer: tool.max_answer,
        trace: tool.request.trace,
        has_effects: tool.has_effects.unwrap_or(!is_safe),
        needs_approval: tool.needs_approval,
    })
}

/// Collects the faults of a tool.
struct Found<'a> {
    tool: &'a HttpTool,
    faults: &'a mut Vec<RegistryFault>,
}

impl Found<'_> {
    fn add(&mut self, place: HttpToolPlace, message: impl Into<String>) {
        self.add_at(place, None, message);
    }

    fn add_at(&mut self, place: HttpToolPlace, position: Option<(usize, usize)>, message: impl Into<String>) {
        let place = RegistryPlace::HttpTool(Arc::clone(&self.tool.name), place);
        self.faults.push(RegistryFault { place, position, message: message.into() });
    }

    fn description(&mut self, scope: Scope<'_>) -> Option<Template> {
        let text = self.tool.description.as_ref()?;
        if text.is_literal() {
            return Some(Template::literal(text.source(), Sink::Description));
        }
        match Template::compile(text.source(), Sink::Description, scope) {
            Ok(template) => Some(template),
            Err(faults) => {
                for fault in faults {
                    self.add_at(HttpToolPlace::Description, Some((fault.line, fault.column)), fault.message);
                }
                None
            }
        }
    }

    /// Do the templates read arguments that no call can have?
    fn arguments(&mut self, schema: &Value, request: &RequestTemplate) {
        for (place, read) in request.reads() {
            let Read::Root(path) = read else { continue };
            let name = path.strip_prefix("args.").map(|rest| rest.split('.').next().unwrap_or(rest));
            if let Some(message) = name.and_then(|name| unknown_argument(schema, name)) {
                self.add(HttpToolPlace::Request(place), message);
            }
        }
    }
}

impl PreparedHttpTool {
    /// The tool as a model is told of it in this context. What its description lacks is left out.
    pub(crate) fn told(&self, context: &RequestContext, values: &Values) -> Arc<ToolSpec> {
        let Some(template) = &self.description else { return Arc::clone(&self.spec) };
        let text = match template.render(&View::of(Sink::Description, context, values)) {
            Ok(Rendered::Text(text)) => text,
            Ok(_) | Err(_) => String::new(),
        };
        let spec = ToolSpec::new(self.spec.name(), Some(&text), self.spec.parameters().clone());
        spec.map_or_else(|_| Arc::clone(&self.spec), Arc::new)
    }

    /// Its description, where that is not the same for every call.
    pub(crate) fn description(&self) -> Option<&Template> {
        self.description.as_ref()
    }

    /// Reads the arguments' JSON text, as the model wrote it.
    pub(crate) fn arguments(&self, text: &str) -> Result<Arc<Value>, ToolError> {
        self.parameters.read(text).map(Arc::new)
    }

    /// The request of one call, with the token that it needs. What goes out, and what stays, is added to the trail. `values`
    /// has the arguments.
    pub(crate) async fn request(
        &self,
        fetching: &Fetching,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<ReadyCall, ToolError> {
        let note = |no: Option<&NotSent>| {
            self.exchange.as_ref().map(|exchange| exchange.entry(context, &self.destination, no))
        };
        let pass = fetching.pass(self.exchange.as_ref(), context).map_err(|no| {
            trail.extend(note(Some(&no)));
            not_sent(&no)
        })?;
        let noted = trail.len();
        let request = self.request.render(&self.destination, context, values, trail).map_err(|why| not_sent(&why))?;
        trail.extend(note(None));
        let carried = self.request.carried(context, &request);
        let call = Carrying::new(request.into(), pass).await.map_err(|no| {
            let why = not_sent(&no);
            let fault = CallFault::NoToken(no);
            trail.iter_mut().skip(noted).for_each(|entry| reached_nobody(entry, &fault));
            why
        })?;
        Ok(ReadyCall { call, carried })
    }

    /// Makes the call. A call without effects that fails and may work later is made again. `trail` has the call's entries,
    /// which are taken back if it reached nobody.
    pub(crate) async fn send(
        &self,
        fetching: &Fetching,
        mut ready: ReadyCall,
        context: &RequestContext,
        trail: &mut [TrailEntry],
    ) -> Result<String, ToolError> {
        let guard = Guard {
            timeout: self.timeout,
            max_body: self.max_answer,
            trace: context.trace().copied().filter(|_| self.trace),
        };
        let retry = if self.has_effects { RetryPolicy::never() } else { RetryPolicy::default() };
        let (mut attempt, mut reached) = (0, false);
        loop {
            let outcome = fetching.client.send(ready.call.request(), guard).await;
            reached |= !outcome.as_ref().is_err_and(OutboundFault::is_before_sending);
            if let Ok(answer) = &outcome
                && ready.call.is_renewed_after(answer.status).await
            {
                continue;
            }
            // Who asks for a longer wait than an answer may take asks for too long a one.
            let wait = retry.wait_after(attempt, &outcome).filter(|wait| *wait <= self.timeout);
            let Some(wait) = wait else {
                return match outcome {
                    Ok(answer) => {
                        ready.call.hide_in(&mut ready.carried);
                        result(&self.reading, &answer, &ready.carried)
                    }
                    Err(fault) => {
                        tracing::warn!(
                            request_id = context.request_id(),
                            tool = &*self.destination.name,
                            "a tool's call failed: {fault}"
                        );
                        if !reached {
                            let fault = CallFault::Outbound(fault.clone());
                            trail.iter_mut().for_each(|entry| reached_nobody(entry, &fault));
                        }
                        Err(failed(&fault))
                    }
                };
            };
            drop(outcome);
            time::sleep(wait).await;
            attempt += 1;
        }
    }
}
