//! The first model call of a run, prepared and not made.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use letterhead_context::{DestinationKind, Layer, LlmDestination, Problem, RequestContext, TrailEntry, Values};
use tokio_util::sync::CancellationToken;

use super::event::Events;
use super::limits::{Limits, RunCount};
use super::model_call::destination;
use super::outcome::RunInput;
use super::turn::{RunLoop, Shared, needs};
use crate::registry::Registry;
use crate::variable::{Asking, Look, PreviewRequest, TurnVariables, Unavailable, look};

/// What the first model call of a run would carry. Secrets are not in it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Preview {
    /// The agent that would answer.
    pub agent: Arc<str>,
    /// The model that would be called, as it was asked for.
    pub model: Arc<str>,
    /// Its provider, as a trail names it.
    pub destination: Arc<str>,
    /// What the agent is told to be; nothing if that is blank.
    pub instructions: Option<Arc<str>>,
    /// The headers that would be sent, without those that the protocol itself needs (`Content-Type`, `Accept`, …).
    pub headers: Vec<PreviewHeader>,
    /// The requests for context variables that come before it, each behind those that it waits for, and those that ask
    /// MCP servers which tools they have.
    pub requests: Vec<PreviewRequest>,
    /// What would go where, and what stays, with the reason.
    pub trail: Vec<TrailEntry>,
}

/// A header that would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviewHeader {
    /// The name as it was written.
    pub name: Arc<str>,
    /// The value; none where nobody may see it.
    pub value: Option<String>,
    /// What it is made of, as a trail says it, with the layer. Several for a header that is a list; none for
    /// `traceparent`, which is made for each call.
    pub from: Vec<(Arc<str>, Layer)>,
}

impl Registry {
    /// Prepares the first model call of a run, by the code that a run uses, and does not make it. Nothing is sent at all:
    /// the value of a context variable stands for itself, as `‹user.name›`, and the tools of MCP servers are not known.
    ///
    /// ```
    /// use letterhead::run::RunInput;
    /// use letterhead::{Agent, Caller, Headers, Registry, RequestContext};
    ///
    /// let agent = Agent::new("assistant").with_instructions("Be brief.").with_header("X-Team", "desk");
    /// let registry = Registry::builder().agent(agent).build().unwrap();
    /// let context = RequestContext::builder(Caller::anonymous(), Headers::none()).build("assistant");
    ///
    /// let preview = registry.preview(context, RunInput::default()).unwrap();
    /// assert_eq!(preview.instructions.as_deref(), Some("Be brief."));
    /// assert_eq!(preview.headers[0].value.as_deref(), Some("desk"));
    /// ```
    ///
    /// # Errors
    ///
    /// What the run would end with before its first call.
    pub fn preview(&self, context: RequestContext, input: RunInput) -> Result<Preview, Problem> {
        let shared = self.previewing();
        let mut run = self.begun(&shared, context, input)?;
        let (prepared, _, provider) = run.target()?;
        let state = run.input.state.snapshot();
        let looked = look(&self.variables, &needs(prepared, provider), &run.context, &state, |_| None);
        run.seen(looked.map_err(|unavailable| unavailable.problem())?)
    }

    /// The same, with the context variables fetched: their requests are sent, and the model's still is not.
    ///
    /// # Errors
    ///
    /// What the run would end with before its first call.
    pub async fn preview_fetched(&self, context: RequestContext, input: RunInput) -> Result<Preview, Problem> {
        let shared = self.previewing();
        let mut run = self.begun(&shared, context, input)?;
        let (prepared, _, provider) = run.target()?;
        let (needs, state) = (needs(prepared, provider), run.input.state.clone());
        let problem = |unavailable: Unavailable| unavailable.problem();
        let Some(fetching) = &self.fetching else { return run.seen(Look::default()) };
        let asking = Asking {
            variables: &self.variables,
            fetching,
            turn: &shared.variables,
            context: &run.context,
            state: &state,
        };
        let values = asking.values(&needs).await.map_err(problem)?;
        let mut outcomes = Vec::with_capacity(self.variables.len());
        for at in 0..self.variables.len() {
            outcomes.push(if asking.is_known(at) { Some(asking.outcome(at).await) } else { None });
        }
        let outcome = |at: usize| outcomes.get(at).cloned().flatten();
        let mut looked = look(&self.variables, &needs, &run.context, &state.snapshot(), outcome).map_err(problem)?;
        looked.values = values;
        looked.trail = shared.variables.take_trail();
        run.seen(looked)
    }

    fn previewing(&self) -> Shared<'_> {
        Shared {
            registry: self,
            limits: Limits::default(),
            count: RunCount::default(),
            cancelled: CancellationToken::new(),
            variables: TurnVariables::default(),
        }
    }

    fn begun<'a>(
        &self,
        shared: &'a Shared<'a>,
        context: RequestContext,
        input: RunInput,
    ) -> Result<RunLoop<'a>, Problem> {
        self.check_start(&context, &input)?;
        let mut run = RunLoop::new(shared, context, input, Events::none(), 0);
        run.choose()?;
        Ok(run)
    }
}

impl RunLoop<'_> {
    /// What the first call would carry, with these variables.
    fn seen(&mut self, looked: Look) -> Result<Preview, Problem> {
        let Look { mut requests, values: variables, mut trail } = looked;
        let values = Values { state: Some(self.input.state.snapshot()), variables, ..Values::default() };
        let (prepared, model, provider) = self.target()?;
        let known = needs(prepared, provider);
        // One that needs a variable of its own would have to fetch it first.
        let servers = prepared.mcp_servers.iter();
        for server in servers.filter(|server| server.endpoint.variables.iter().all(|at| known.contains(at))) {
            match server.look(&self.context, &values, &mut trail) {
                Ok(request) => requests.push(request),
                Err(why) if !server.optional => return Err(why.problem(&server.endpoint.destination.name)),
                Err(why) => trail.push(self.noted(server, why.to_string())),
            }
        }
        let registry = self.shared.registry;
        let externals =
            prepared.agent.delegates().iter().filter_map(|delegate| registry.external_agent(&delegate.agent));
        for agent in externals.filter(|agent| agent.endpoint.variables.iter().all(|at| known.contains(at))) {
            // Of one that would not be asked the trail says why.
            requests.extend(agent.look(&self.context, &values, &mut trail).ok());
        }
        let call = self.prepare_call(prepared, provider, model, &values, &mut trail)?;
        Ok(Preview {
            agent: prepared.agent.shared_name(),
            model: Arc::clone(&model.name),
            destination: Arc::clone(&provider.destination),
            headers: shown(&call.headers, destination(prepared, provider), &trail),
            requests,
            instructions: call.instructions,
            trail,
        })
    }
}

/// The headers of a call in the order of the trail, then those that are in no trail.
fn shown(headers: &HeaderMap, destination: LlmDestination<'_>, trail: &[TrailEntry]) -> Vec<PreviewHeader> {
    let value = |name: &HeaderName| {
        let value = headers.get(name).filter(|_| !destination.hides(name))?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut shown: Vec<PreviewHeader> = Vec::with_capacity(headers.len());
    for entry in trail.iter().filter(|entry| entry.sent && entry.kind == DestinationKind::Llm) {
        let from = (Arc::clone(&entry.from), entry.layer);
        match shown.iter_mut().find(|header| header.name.eq_ignore_ascii_case(&entry.header)) {
            Some(earlier) => earlier.from.push(from),
            None => shown.push(PreviewHeader {
                name: Arc::clone(&entry.header),
                value: HeaderName::from_bytes(entry.header.as_bytes()).ok().and_then(|name| value(&name)),
                from: vec![from],
            }),
        }
    }
    let noted = shown.len();
    for name in headers.keys() {
        if !shown.iter().take(noted).any(|header| header.name.eq_ignore_ascii_case(name.as_str())) {
            shown.push(PreviewHeader { name: Arc::from(name.as_str()), value: value(name), from: Vec::new() });
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use letterhead_context::{Caller, HeaderSchema, RuntimeHeaders, Sent};
    use serde_json::json;

    use super::*;
    use crate::{Agent, Provider, Text};

    /// A registry, and a context with runtime headers for its agent.
    fn registry() -> (Registry, RequestContext) {
        let schema =
            HeaderSchema::compile(&json!({ "properties": { "token": { "writeOnly": true, "default": "canary" } } }));
        let schema = schema.unwrap();
        let provider = Provider::demo("llm")
            .with_api_key(Text::literal("canary"))
            .with_header("Anthropic-Beta", Text::template("one"))
            .with_header("X-Region", Text::literal("canary"));
        let agent = Agent::new("a")
            .with_header("anthropic-beta", "two")
            .with_header("X-Team", "{{ headers.token | upper }}")
            .with_header("X-Shown", "{{ agent.name }}");
        let headers = schema.merge([], &Sent::nothing(), &[]).unwrap();
        let registry = Registry::builder().schema(schema).provider(provider).default_model("llm:x").agent(agent);
        let mut runtime = RuntimeHeaders::new();
        runtime.set("X-Vendor-Token", "canary").unwrap();
        runtime.set("X-Shown", "by the run").unwrap();
        let context = RequestContext::builder(Caller::anonymous(), headers).runtime(runtime).build("a");
        (registry.build().unwrap(), context)
    }

    #[test]
    fn nothing_that_may_be_a_secret_is_in_a_preview() {
        let (registry, context) = registry();
        let preview = registry.preview(context, RunInput::default()).unwrap();
        assert!(!format!("{preview:?}").to_lowercase().contains("canary"), "{preview:?}");
        let hidden = preview.headers.iter().filter(|header| header.value.is_none()).map(|header| &*header.name);
        let mut hidden: Vec<&str> = hidden.collect();
        hidden.sort_unstable();
        assert_eq!(hidden, ["X-Region", "X-Team", "authorization", "x-vendor-token"]);
    }

    #[test]
    fn a_value_says_which_layers_it_is_made_of() {
        let (registry, context) = registry();
        let preview = registry.preview(context, RunInput::default()).unwrap();
        let find = |name: &str| preview.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).unwrap();
        let layers = |name| find(name).from.iter().map(|(_, layer)| *layer).collect::<Vec<_>>();
        assert_eq!(find("anthropic-beta").value.as_deref(), Some("one,two"));
        assert_eq!(layers("anthropic-beta"), [Layer::Provider, Layer::Agent]);
        assert_eq!(find("x-shown").value.as_deref(), Some("by the run"));
        assert_eq!(layers("x-shown"), [Layer::Runtime]);
        let lost = preview.trail.iter().find(|entry| !entry.sent).unwrap();
        assert_eq!((&*lost.header, lost.layer), ("X-Shown", Layer::Agent));
    }
}
