//! Everything of one model call: instructions, headers, messages, tools, request fields.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{Code, LlmDestination, Problem, Rendered, Sink, TrailEntry, View, header_view};
use serde_json::{Map, Value};

use super::turn::RunLoop;
use crate::model::ModelCall;
use crate::registry::{ModelRef, Prepared, PreparedInstructions, PreparedProvider};

impl RunLoop<'_> {
    /// Everything of one call. What goes out and what stays is added to the trail, also if the call cannot be made.
    pub(super) fn prepare_call(
        &self,
        prepared: &Prepared,
        provider: &PreparedProvider,
        model: &ModelRef,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<ModelCall, Problem> {
        let state = self.input.state.snapshot();
        let instructions = self.instructions(prepared, &state, trail)?;
        let mut headers =
            destination(prepared, provider).headers(&self.context, &header_view(&self.context, Some(state)), trail)?;
        if provider.trace {
            self.add_trace(&mut headers);
        }
        Ok(ModelCall {
            model: Arc::clone(&model.model),
            instructions,
            messages: self.input.client_instructions.iter().chain(&self.input.messages).cloned().collect(),
            tools: prepared.specs.iter().chain(&self.input.client_tools).cloned().collect(),
            tool_choice: self.input.tool_choice.clone(),
            params: merged([&provider.params, prepared.agent.params(), &self.input.params]),
            output: prepared.agent.output().cloned(),
            headers,
            stream: self.input.stream,
        })
    }

    /// Makes the call a span of the request's trace, unless a configured header has said something else.
    fn add_trace(&self, headers: &mut HeaderMap) {
        const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
        let Some(trace) = self.context.trace() else { return };
        let (span, _) = uuid::Uuid::new_v4().as_u64_pair();
        if let Ok(value) = HeaderValue::try_from(trace.next_hop(span.to_be_bytes())) {
            headers.entry(TRACEPARENT).or_insert(value);
        }
    }

    /// What the agent is told to be; nothing if that is blank.
    fn instructions(
        &self,
        prepared: &Prepared,
        state: &Arc<Value>,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<Option<Arc<str>>, Problem> {
        let text = match &prepared.instructions {
            PreparedInstructions::Literal(text) => return Ok(text.clone()),
            PreparedInstructions::Function(make) => make(&self.context),
            PreparedInstructions::Template(template, destination) => {
                destination.note(&self.context, trail);
                let view = View::with(Sink::Instructions, &self.context, Some(Arc::clone(state)), None);
                match template.render(&view) {
                    Ok(Rendered::Text(text)) => text,
                    Ok(_) => String::new(),
                    Err(error) => {
                        let detail = format!("agents.{}.instructions: {error}", prepared.agent.name());
                        return Err(Problem::new(Code::TemplateFailed, detail));
                    }
                }
            }
        };
        Ok(if text.trim().is_empty() { None } else { Some(text.into()) })
    }
}

/// What decides the headers of an agent's calls to a provider.
pub(super) fn destination<'a>(prepared: &'a Prepared, provider: &'a PreparedProvider) -> LlmDestination<'a> {
    LlmDestination {
        name: &provider.destination,
        credential: provider.credential.as_ref(),
        provider: &provider.headers,
        agent: &prepared.headers,
        budget: provider.budget,
    }
}

/// Layers of request fields, the later winning; objects merge by key.
fn merged(layers: [&Map<String, Value>; 3]) -> Map<String, Value> {
    let mut merged = Map::new();
    for layer in layers {
        merge(&mut merged, layer);
    }
    merged
}

fn merge(into: &mut Map<String, Value>, layer: &Map<String, Value>) {
    for (name, value) in layer {
        match (into.get_mut(name), value) {
            (Some(Value::Object(earlier)), Value::Object(later)) => merge(earlier, later),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}
