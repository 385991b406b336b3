//! Makes context variables ready: names, templates, paths and schemas checked, and who waits for whom worked out.

use std::sync::Arc;
use std::time::Duration;

use letterhead_context::{Read, RequestTemplate, Requirement, Scope, name::nearest};
use serde_json::Value;

use super::answer::{Reading, response_schema, schema_fault};
use super::define::{Variable, VariableBody, When};
use super::graph;
use super::parts::text_source;
use super::recall::Inputs;
use super::select::Select;
use crate::agent::Text;
use crate::registry::{RegistryFault, RegistryPlace, VariablePlace};
use crate::token_exchange::PreparedExchange;

/// Names that templates have a meaning for.
const ROOTS: [&str; 12] = [
    "headers",
    "caller",
    "claims",
    "session",
    "request",
    "agent",
    "state",
    "args",
    "credentials",
    "env",
    "loop",
    "self",
];

/// A context variable, ready to be fetched.
#[derive(Debug)]
pub(crate) struct PreparedVariable {
    pub(crate) name: Arc<str>,
    /// As a trail names it: `context.user`.
    pub(crate) destination: Arc<str>,
    pub(crate) request: RequestTemplate,
    pub(super) when: When,
    pub(super) reading: Reading,
    pub(super) default: Option<Arc<Value>>,
    pub(super) requires: Vec<Requirement>,
    pub(super) optional: bool,
    pub(super) ttl: Option<Duration>,
    pub(super) timeout: Duration,
    pub(super) trace: bool,
    /// How the token of its requests is got.
    pub(crate) exchange: Option<Arc<PreparedExchange>>,
    /// The text of `select`: a value that was selected otherwise is another value.
    pub(super) selected: Box<str>,
    /// Is its URL text that is taken as it stands? The environment may have a part in it.
    pub(super) literal_url: bool,
    /// The parameters and fields that are such text.
    pub(super) literals: Vec<String>,
    /// The variables that it reads.
    pub(super) needs: Box<[usize]>,
    /// May its request differ within a turn? So it is where it reads the agent or the state, itself or by others.
    pub(super) varies: bool,
    /// What decides its request, where that is quickly compared; none where a request is made each time.
    pub(super) inputs: Option<Inputs>,
    /// Is there a secret in its request, or in what that is made of?
    pub(crate) secret: bool,
}

/// Checks variables, each by itself and all together.
pub(crate) fn prepare_variables(
    variables: &[Variable],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Vec<PreparedVariable> {
    let before = faults.len();
    for (at, variable) in variables.iter().enumerate() {
        check_name(variable, variables.get(..at).unwrap_or_default(), faults);
    }
    let mut prepared: Vec<_> = variables.iter().filter_map(|variable| prepare(variable, scope, faults)).collect();
    // With one of them missing, who needs whom would be told wrongly.
    if prepared.len() == variables.len() && faults.len() == before {
        connect(&mut prepared, faults);
    }
    prepared
}

fn check_name(variable: &Variable, earlier: &[Variable], faults: &mut Vec<RegistryFault>) {
    let name = variable.name();
    let message = if ROOTS.contains(&name) {
        format!("`{name}` has a meaning of its own in templates: choose another name")
    } else if !is_name(name) {
        "a context variable's name is letters, digits and `_`, begins with no digit, and is no word of templates"
            .to_owned()
    } else if earlier.iter().any(|earlier| earlier.name() == name) {
        "there are two context variables of this name".to_owned()
    } else {
        return;
    };
    faults.push(RegistryFault::at(whole(variable), message));
}

/// Words of the templates' language, which cannot be read as a name in every place.
const WORDS: [&str; 16] = [
    "and", "or", "not", "in", "is", "if", "else", "elif", "for", "set", "true", "false", "none", "True", "False",
    "None",
];

/// Do templates read this as a name, wherever it stands?
fn is_name(name: &str) -> bool {
    let begins = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    begins && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !WORDS.contains(&name)
}

fn whole(variable: &Variable) -> RegistryPlace {
    place(variable, VariablePlace::Whole)
}

fn place(variable: &Variable, part: VariablePlace) -> RegistryPlace {
    RegistryPlace::Variable(Arc::clone(&variable.name), part)
}

fn prepare(variable: &Variable, scope: Scope<'_>, faults: &mut Vec<RegistryFault>) -> Option<PreparedVariable> {
    let before = faults.len();
    let destination: Arc<str> = format!("context.{}", variable.name).into();
    let (request, exchange) = variable.request.prepare(&destination, scope, &mut |part, position, message| {
        faults.push(RegistryFault { place: place(variable, VariablePlace::Request(part)), position, message });
    });
    let requires = variable.requires.iter().enumerate();
    let requires = requires.filter_map(|(at, text)| required(variable, at, text, scope, faults)).collect();
    let reading = Reading { schema: schema(variable, faults), select: select(variable, faults) };
    if variable.request.timeout.is_zero() {
        faults.push(RegistryFault::at(place(variable, VariablePlace::Timeout), "a fetch needs more time than none"));
    }
    let request = request.filter(|_| faults.len() == before)?;
    Some(PreparedVariable {
        name: Arc::clone(&variable.name),
        destination,
        when: variable.when,
        reading,
        default: variable.default.clone().map(Arc::new),
        requires,
        optional: variable.optional,
        ttl: variable.ttl,
        timeout: variable.request.timeout,
        trace: variable.request.trace,
        selected: variable.select.as_deref().unwrap_or_default().into(),
        literal_url: variable.request.url.is_literal(),
        literals: literals(variable),
        needs: Box::default(),
        varies: false,
        inputs: None,
        secret: request.names_secret() || exchange.is_some(),
        exchange,
        request,
    })
}

fn literals(variable: &Variable) -> Vec<String> {
    let form = match &variable.request.body {
        VariableBody::Form(fields) => fields.as_slice(),
        VariableBody::None | VariableBody::Json(_) => &[],
    };
    let all = variable.request.query.iter().chain(form);
    all.filter(|(_, text)| text.is_literal()).map(|(name, _)| name.clone()).collect()
}

fn required(
    variable: &Variable,
    at: usize,
    text: &Text,
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Option<Requirement> {
    let compiled = Requirement::compile(text_source(text), scope).map_err(|found| {
        faults.extend(found.into_iter().map(|fault| RegistryFault {
            place: place(variable, VariablePlace::Requires(at)),
            position: Some((fault.line, fault.column)),
            message: fault.message,
        }));
    });
    compiled.ok()
}

fn schema(variable: &Variable, faults: &mut Vec<RegistryFault>) -> Option<jsonschema::Validator> {
    let written = variable.response_schema.as_ref()?;
    let compiled = response_schema(written).map_err(|error| {
        let pointer = error.instance_path().to_string();
        let message = schema_fault(&error);
        faults.push(RegistryFault::at(place(variable, VariablePlace::ResponseSchema(pointer)), message));
    });
    compiled.ok()
}

fn select(variable: &Variable, faults: &mut Vec<RegistryFault>) -> Option<Select> {
    let compiled = Select::compile(variable.select.as_deref()?).map_err(|(at, message)| {
        let place = place(variable, VariablePlace::Select);
        faults.push(RegistryFault { place, position: Some((1, at)), message });
    });
    compiled.ok()
}

/// Works out which variable needs which.
fn connect(prepared: &mut [PreparedVariable], faults: &mut Vec<RegistryFault>) {
    let names: Vec<Arc<str>> = prepared.iter().map(|variable| Arc::clone(&variable.name)).collect();
    let needs: Vec<Vec<usize>> = prepared.iter().map(|variable| needed(variable.reads(), &names)).collect();
    let circles = graph::circles(&needs);
    for circle in &circles {
        if let Some(first) = circle.first().and_then(|at| names.get(*at)) {
            let place = RegistryPlace::Variable(Arc::clone(first), VariablePlace::Whole);
            faults.push(RegistryFault::at(place, graph::around(circle, &names)));
        }
    }
    if !circles.is_empty() {
        return;
    }
    let within_turn: Vec<bool> = prepared.iter().map(|variable| variable.reads().any(may_vary)).collect();
    let varies = graph::spread(&needs, &within_turn);
    let secrets: Vec<bool> = prepared.iter().map(|variable| variable.secret).collect();
    let secrets = graph::spread(&needs, &secrets);
    for (((variable, needs), varies), secret) in prepared.iter_mut().zip(needs).zip(varies).zip(secrets) {
        variable.needs = needs.into();
        variable.varies = varies;
        variable.secret = secret;
        // Whose token is traded is no template's to read.
        if variable.when == When::Conversation && !varies && variable.needs.is_empty() && variable.exchange.is_none() {
            variable.inputs = Inputs::of(variable.request.reads().map(|(_, read)| read));
        }
    }
}

/// Does it read something that differs between the agents of a turn, or that tools change?
fn may_vary(read: &Read) -> bool {
    let Read::Root(path) = read else { return false };
    matches!(path.split('.').next(), Some("agent" | "state"))
}

/// The places of the variables that are read, each once.
pub(crate) fn needed<'a>(reads: impl IntoIterator<Item = &'a Read>, names: &[impl AsRef<str>]) -> Vec<usize> {
    let mut needs = Vec::new();
    for read in reads {
        let Read::Variable(name) = read else { continue };
        let at = names.iter().position(|known| known.as_ref() == &**name);
        needs.extend(at.filter(|at| !needs.contains(at)));
    }
    needs
}

/// A variable that something names by itself, and not in a template.
pub(crate) fn unknown(name: &str, names: &[String]) -> String {
    let near = nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
    format!("there is no context variable `{name}`: {}", near.unwrap_or_else(|| "define it under `context`".to_owned()))
}

impl PreparedVariable {
    /// What has to be there for its request to be made.
    pub(crate) fn requires(&self) -> &[Requirement] {
        &self.requires
    }

    /// Everything that its request and its `requires` read.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &Read> {
        self.request.reads().map(|(_, read)| read).chain(self.requires.iter().flat_map(Requirement::reads))
    }
}
