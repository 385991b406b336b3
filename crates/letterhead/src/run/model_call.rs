//! Everything of one model call: instructions, headers, messages, tools, request fields.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use letterhead_context::{Code, LlmDestination, Problem, Rendered, Sink, TrailEntry, Values, View};
use serde_json::{Map, Value};

use super::turn::RunLoop;
use crate::model::{ModelCall, ToolSpec};
use crate::outbound::trace;
use crate::registry::{Described, ModelRef, Prepared, PreparedInstructions, PreparedProvider};

impl RunLoop<'_> {
    /// Everything of one call. What goes out and what stays is added to the trail, also if the call cannot be made.
    pub(super) fn prepare_call(
        &self,
        prepared: &Prepared,
        provider: &PreparedProvider,
        model: &ModelRef,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<ModelCall, Problem> {
        let instructions = self.instructions(prepared, values, trail)?;
        let view = View::of(Sink::Header, &self.context, values);
        let mut headers = destination(prepared, provider).headers(&self.context, &view, trail)?;
        if let Some(trace) = self.context.trace().filter(|_| provider.trace) {
            trace::continue_in(&mut headers, trace);
        }
        Ok(ModelCall {
            model: Arc::clone(&model.model),
            instructions,
            messages: self.messages(),
            tools: self.tools(prepared, values, trail),
            tool_choice: self.input.tool_choice.clone(),
            params: merged([&provider.params, prepared.agent.params(), &self.input.params]),
            output: prepared.agent.output().cloned(),
            headers,
            stream: self.input.stream,
        })
    }

    /// What the model is sent of the conversation, behind what the client tells it.
    fn messages(&self) -> Vec<Arc<str>> {
        let first = self.input.client_instructions.iter();
        match &self.history {
            None => first.chain(&self.input.messages).cloned().collect(),
            Some(history) => first.chain(history.sent(&self.input.messages)).cloned().collect(),
        }
    }

    /// Everything that the model is offered.
    fn tools(&self, prepared: &Prepared, values: &Values, trail: &mut Vec<TrailEntry>) -> Vec<Arc<ToolSpec>> {
        let theirs = self.mcp.iter().flat_map(|offer| &offer.specs);
        let lookup = self.lookup_offered(prepared);
        let own = prepared.specs.iter().chain(theirs).chain(&lookup);
        let mut tools: Vec<_> = own.chain(&self.input.client_tools).cloned().collect();
        for Described { at, tool, destination } in &prepared.described {
            if let Some(spec) = tools.get_mut(*at) {
                destination.note(&self.context, trail);
                *spec = tool.told(&self.context, values);
            }
        }
        tools
    }

    /// What the agent is told to be; nothing if that is blank.
    fn instructions(
        &self,
        prepared: &Prepared,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<Option<Arc<str>>, Problem> {
        let text = match &prepared.instructions {
            PreparedInstructions::Literal(text) => return Ok(text.clone()),
            // The program's own function: if it panics, the run fails, and no more than the run.
            PreparedInstructions::Function(make) => {
                catch_unwind(AssertUnwindSafe(|| make(&self.context))).map_err(|_| {
                    let agent = prepared.agent.name();
                    let detail = format!("the function that makes the instructions of the agent `{agent}` panicked");
                    Problem::new(Code::TemplateFailed, detail)
                })?
            }
            PreparedInstructions::Template(template, destination) => {
                destination.note(&self.context, trail);
                let view = View::of(Sink::Instructions, &self.context, values);
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
