//! `agents:` and `entry:` — who answers.

use std::collections::{HashMap, HashSet};

use letterhead_context::name;
use serde_json::Value as Json;

use super::{
    models::Model,
    nearest,
    outgoing::{OutgoingHeader, Params, read_headers, read_params},
    placed::Placed,
    pointer::Pointer,
    providers::Providers,
    section::Section,
    template::TemplateSource,
};

/// An agent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Agent {
    /// Its name: 1 to 48 letters, digits, `_` and `-`.
    pub name: String,
    /// What it is good for, as other agents are told.
    pub description: Option<TemplateSource>,
    /// What its model is told before the conversation.
    pub instructions: Option<TemplateSource>,
    /// Its model; nothing is the common one.
    pub model: Option<Model>,
    /// Headers of its LLM calls, in the file's order.
    pub headers: Vec<OutgoingHeader>,
    /// Fields of the body of its LLM calls.
    pub params: Params,
    /// Declared headers that its turns need, in the declaration's spelling where it has them.
    pub requires: Vec<Reference>,
    /// What its answers have to be, as JSON Schema.
    pub output: Option<Placed<Json>>,
    /// Tools that it has.
    pub tools: Vec<Reference>,
    /// Agents that it may hand over to.
    pub handoffs: Vec<Reference>,
    /// Agents that it may ask.
    pub delegates: Vec<Delegate>,
    /// Where it stands.
    pub pointer: Pointer,
}

/// A name that one section has of something in another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub pointer: Pointer,
}

/// An agent that another one may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delegate {
    /// Its name.
    pub name: String,
    /// Whether it sees the conversation, rather than its input alone.
    pub history: bool,
    /// Where it stands.
    pub pointer: Pointer,
}

/// What agents may name in other sections.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) providers: &'a Providers,
    /// The declared context headers.
    pub(super) declared: &'a [String],
    pub(super) tools: &'a [&'a str],
    /// The agents on other machines.
    pub(super) external: &'a [&'a str],
}

/// The names of the agents that others may ask.
pub(super) fn asked(agents: &[Agent]) -> Vec<&str> {
    agents.iter().flat_map(|agent| &agent.delegates).map(|delegate| delegate.name.as_str()).collect()
}

/// Reads the agents.
pub(super) fn read(section: &Section<'_>, known: Known<'_>) -> Vec<Agent> {
    let names = section.names();
    let known_tools: HashSet<&str> = known.tools.iter().copied().collect();
    let delegates = [names.as_slice(), known.external].concat();
    let agents: Vec<Agent> = section
        .entries()
        .into_iter()
        .map(|(name, agent)| Agent {
            name: name.to_owned(),
            description: agent.child("description").template(),
            instructions: agent.child("instructions").template(),
            model: Model::read(&agent.child("model"), known.providers),
            headers: read_headers(&agent.child("headers")),
            params: read_params(&agent.child("params")),
            requires: requires(&agent.child("requires"), known.declared),
            output: output(&agent.child("output")),
            tools: tools(&agent.child("tools"), known, &known_tools),
            handoffs: others(name, &agent.child("handoffs"), &names, known.external),
            delegates: self::delegates(name, &agent.child("delegates"), &delegates),
            pointer: agent.pointer().clone(),
        })
        .collect();
    check_tool_names(section);
    check_descriptions(section, &agents);
    agents
}

fn output(section: &Section<'_>) -> Option<Placed<Json>> {
    section.json().map(|schema| Placed::new(schema, section.pointer()))
}

/// Reads `entry` of the configuration `root`: with one agent it need not be said. Nothing if there is a fault.
pub(super) fn read_entry(root: &Section<'_>, agents: &[Agent], external: &[&str]) -> Option<String> {
    let section = root.child("entry");
    match (section.text(), agents) {
        (Some(name), _) if agents.iter().any(|agent| agent.name == name) => Some(name.to_owned()),
        (Some(name), _) if external.contains(&name) => {
            external_fault(&section);
            None
        }
        (Some(name), _) => {
            let names = agents.iter().map(|agent| agent.name.as_str());
            section
                .error(format!("no agent is called {}", section.shown()), nearest::suggestion(name, "agents", names));
            None
        }
        (None, [only]) if !section.exists() => Some(only.name.clone()),
        (None, [first, _, ..]) if !section.exists() => {
            let help = format!("for example `entry: {}`", first.name);
            root.child("agents").error_at_key("with several agents, `entry` must say which one answers first", help);
            None
        }
        _ => None,
    }
}

/// The agents that one may hand over to.
fn others(own: &str, section: &Section<'_>, names: &[&str], external: &[&str]) -> Vec<Reference> {
    let target = |item: &Section<'_>| {
        if item.text().is_some_and(|name| external.contains(&name) && !names.contains(&name)) {
            external_fault(item);
            return None;
        }
        other(own, item, "hand over to", names)
    };
    section.items().iter().filter_map(target).collect()
}

/// An agent on another machine stands where one of this file, or a tool, has to.
fn external_fault(item: &Section<'_>) {
    let help = "name it under `delegates` of the agent that is to ask it".to_owned();
    item.error(format!("{} is an external agent: it can only be a delegate", item.shown()), help);
}

/// A name, or a map with one.
fn delegates(own: &str, section: &Section<'_>, names: &[&str]) -> Vec<Delegate> {
    let delegate = |item: Section<'_>| {
        let (named, history) =
            if item.is_map() { (item.child("agent"), item.child("history").bool(false)) } else { (item, false) };
        let Reference { name, pointer } = other(own, &named, "delegate to", names)?;
        Some(Delegate { name, history, pointer })
    };
    section.items().into_iter().filter_map(delegate).collect()
}

/// The name of another agent.
fn other(own: &str, item: &Section<'_>, what: &str, names: &[&str]) -> Option<Reference> {
    let name = item.text()?;
    if name == own {
        item.error(format!("`{own}` cannot {what} itself"), None);
        return None;
    }
    if !names.contains(&name) {
        let help = nearest::suggestion(name, "other agents", names.iter().copied().filter(|known| *known != own));
        item.error(format!("no agent is called {}", item.shown()), help);
        return None;
    }
    Some(Reference { name: name.to_owned(), pointer: item.pointer().clone() })
}

/// The tools that an agent names. `known` are those of `all`, which are in the file's order, that suggestions may follow it.
fn tools(section: &Section<'_>, all: Known<'_>, known: &HashSet<&str>) -> Vec<Reference> {
    let tool = |(name, item): (&str, Section<'_>)| {
        if !known.contains(&name) {
            if all.external.contains(&name) {
                external_fault(&item);
                return None;
            }
            let help = nearest::suggestion(name, "tools", all.tools.iter().copied());
            item.error(format!("no tool is called {}", item.shown()), help);
            return None;
        }
        Some(Reference { name: name.to_owned(), pointer: item.pointer().clone() })
    };
    section.texts().into_iter().filter_map(tool).collect()
}

fn requires(section: &Section<'_>, declared: &[String]) -> Vec<Reference> {
    let required = |(name, item): (&str, Section<'_>)| {
        let folded = name::folded(name);
        let Some(declared_name) = declared.iter().find(|known| name::folded(known) == folded) else {
            let help = match name::nearest(name, declared.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it under `headers: { properties: … }`".to_owned(),
            };
            item.error(format!("no declared header is called {}", item.shown()), help);
            return None;
        };
        Some(Reference { name: declared_name.clone(), pointer: item.pointer().clone() })
    };
    section.texts().into_iter().filter_map(required).collect()
}

/// The tools `handoff_to_<agent>` of two agents must differ by more than case and the separator: models mix these up.
fn check_tool_names(section: &Section<'_>) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (name, agent) in section.entries() {
        let folded = name::folded(name);
        if let Some(other) = seen.get(&folded) {
            let help =
                "names of agents must differ by more than case, `-` and `_`: `handoff_to_…` is made of them".to_owned();
            agent.error_at_key(format!("`{name}` and `{other}` are too alike"), help);
        }
        seen.entry(folded).or_insert(name);
    }
}

/// A model chooses among agents by their descriptions.
fn check_descriptions(section: &Section<'_>, agents: &[Agent]) {
    let mut targets = asked(agents);
    targets.extend(agents.iter().flat_map(|agent| &agent.handoffs).map(|target| target.name.as_str()));
    targets.sort_unstable();
    targets.dedup();
    for (name, agent) in section.entries() {
        let described = || agents.iter().any(|known| known.name == name && known.description.is_some());
        if targets.binary_search(&name).is_ok() && !described() && !agent.child("description").exists() {
            let help = "add a `description`: other agents choose by it".to_owned();
            agent.warn_at_key(format!("other agents may call `{name}`, but nothing says what it is good for"), help);
        }
    }
}
