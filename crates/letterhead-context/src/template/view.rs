//! What a template sees: the roots, each built from the request's context when it is first asked for.
//!
//! A view for a model does not contain secrets, credentials or the environment, so no lookup can find them there.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use serde_json::{Map, Value as Json};

use super::sink::Sink;
use super::variables::{VariableValues, placeholder};
use crate::caller::Caller;
use crate::context::{ListedEnv, RequestContext};
use crate::credentials::Credentials;
use crate::headers::Headers;
use crate::session::{SessionId, SessionMode};

/// The roots of one rendering. Cheap to build: members are made when a template asks for them.
#[derive(Clone, Debug)]
pub struct View {
    root: Arc<Root>,
    sink: Sink,
}

/// What a run has beside its context, for templates to read. Cheap to clone; `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Values {
    /// The session's `state`.
    pub state: Option<Arc<Json>>,
    /// The context variables that have been fetched.
    pub variables: VariableValues,
    /// The arguments of the tool call, for tools alone.
    pub args: Option<Arc<Json>>,
    /// Shows what would be sent, and sends nothing: secrets, credentials and the environment stand for themselves, as
    /// `‹headers.auth_token›`. What is missing stays missing.
    pub masked: bool,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("variables", &self.variables).finish_non_exhaustive()
    }
}

struct Root {
    headers: Arc<HeaderRoot>,
    /// For a model: absent.
    env: Option<ListedEnv>,
    /// For a model: none.
    credentials: Credentials,
    caller: Caller,
    claims: Once,
    session: Option<SessionId>,
    mode: SessionMode,
    request_id: Arc<str>,
    client_id: Option<Arc<str>>,
    agent: Arc<str>,
    state: Once,
    variables: VariableValues,
    args: Once,
    one_line: bool,
    masked: bool,
}

/// A document that becomes a value when a template first asks for it: it may be large, and asked for often.
#[derive(Default)]
struct Once {
    json: Option<Arc<Json>>,
    value: OnceLock<Value>,
}

impl Once {
    fn new(json: Option<Arc<Json>>) -> Self {
        Self { json, value: OnceLock::new() }
    }

    fn get(&self, made: impl FnOnce(&Json) -> Value) -> Value {
        self.value.get_or_init(|| self.json.as_deref().map_or_else(empty, made)).clone()
    }
}

impl View {
    /// What a template of this sink sees of a context.
    pub fn new(sink: Sink, context: &RequestContext) -> Self {
        Self::build(sink, context, Values::default())
    }

    /// The same, with the session's `state` and the context variables that have been fetched.
    pub fn with(
        sink: Sink,
        context: &RequestContext,
        state: Option<Arc<Json>>,
        variables: Option<Arc<Map<String, Json>>>,
    ) -> Self {
        let named = variables.map(Arc::unwrap_or_clone).into_iter().flatten();
        let variables = named.map(|(name, json)| (Arc::from(name), Arc::new(json))).collect();
        Self::build(sink, context, Values { state, variables, ..Values::default() })
    }

    /// The same, with everything that a run has beside its context. The arguments of a tool call are for destinations.
    pub fn of(sink: Sink, context: &RequestContext, values: &Values) -> Self {
        Self::build(sink, context, values.clone())
    }

    fn build(sink: Sink, context: &RequestContext, values: Values) -> Self {
        let hidden = sink.is_model_visible();
        let headers = if hidden { context.headers().without_secrets() } else { context.headers().clone() };
        let root = Root {
            headers: Arc::new(HeaderRoot { headers, one_line: hidden, masked: values.masked }),
            env: (!hidden).then(|| context.env().clone()),
            credentials: if hidden { Credentials::default() } else { context.credentials().clone() },
            caller: context.caller().clone(),
            claims: Once::new(Some(Arc::clone(context.claims()))),
            session: context.session().cloned(),
            mode: context.mode(),
            request_id: context.shared_request_id(),
            client_id: context.shared_client_id(),
            agent: context.shared_agent(),
            state: Once::new(values.state),
            variables: values.variables,
            args: Once::new(if hidden { None } else { values.args }),
            one_line: hidden,
            masked: values.masked,
        };
        Self { root: Arc::new(root), sink }
    }

    /// The same view for another sink. One for a model and one for a destination differ in what is there: between those
    /// nothing changes, and a template refuses the view.
    pub(crate) fn for_sink(&self, sink: Sink) -> Self {
        let same = self.sink.is_model_visible() == sink.is_model_visible();
        Self { root: Arc::clone(&self.root), sink: if same { sink } else { self.sink } }
    }

    /// A value of the environment.
    pub(crate) fn env(&self, name: &str) -> Option<&str> {
        self.root.env.as_ref()?.get(name)
    }

    /// Do secrets and the environment stand for themselves?
    pub(crate) fn is_masked(&self) -> bool {
        self.root.masked
    }

    /// The sink that the view was made for.
    pub fn sink(&self) -> Sink {
        self.sink
    }

    /// The value of a header, by name in any spelling.
    pub(super) fn header(&self, name: &str) -> Option<Value> {
        self.root.headers.get_value_by_str(name)
    }

    /// The value of another root, by name.
    pub(super) fn value(&self, root: &str) -> Option<Value> {
        self.root.get_value_by_str(root)
    }

    /// A context variable as it was fetched: a path goes through it without making values of what lies beside.
    pub(super) fn variable(&self, name: &str) -> Option<&Json> {
        self.root.variables.json(name)
    }

    pub(super) fn root(&self) -> Value {
        Value::from_dyn_object(Arc::clone(&self.root))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root(…)")
    }
}

impl Root {
    fn text(&self, text: &str) -> Value {
        outsiders_text(text, self.one_line)
    }

    fn json(&self, json: &Json) -> Value {
        value_of(json, &|text| self.text(text))
    }
}

/// The root `headers`: it has members, and no way to list them.
#[derive(Debug)]
struct HeaderRoot {
    /// For a model: without secrets.
    headers: Headers,
    one_line: bool,
    /// Do secrets stand for themselves?
    masked: bool,
}

impl Object for HeaderRoot {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let at = self.headers.schema().position(name)?;
        let secret = self.headers.secret_at(at).map(crate::Secret::reveal);
        if self.masked && secret.is_some() {
            let declared = self.headers.schema().fields().get(at)?;
            return Some(placeholder(&format!("headers.{}", declared.name())));
        }
        let value = secret.or_else(|| self.headers.open_at(at))?;
        Some(value_of(value, &|text| outsiders_text(text, self.one_line)))
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Is it one of the small roots, such as `caller`?
pub(super) fn is_root(value: &Value) -> bool {
    value.downcast_object_ref::<Members>().is_some()
}

/// Text that somebody outside chose: in a prompt it cannot begin a line of its own.
fn outsiders_text(text: &str, one_line: bool) -> Value {
    if one_line && text.contains(is_line_break) {
        Value::from(text.replace("\r\n", " ").replace(is_line_break, " "))
    } else {
        Value::from(text)
    }
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

impl Object for Root {
    fn get_value_by_str(self: &Arc<Self>, root: &str) -> Option<Value> {
        let members = |which| Some(Value::from_object(Members { root: Arc::clone(self), which }));
        match root {
            "headers" => Some(Value::from_dyn_object(Arc::clone(&self.headers))),
            "caller" => members(Which::Caller),
            "session" => members(Which::Session),
            "request" => members(Which::Request),
            "agent" => members(Which::Agent),
            "env" if self.env.is_some() => members(Which::Env),
            "credentials" if self.env.is_some() => members(Which::Credentials),
            "args" if self.env.is_some() => Some(self.args.get(fetched)),
            "claims" => Some(self.claims.get(|claims| self.json(claims))),
            "state" => Some(self.state.get(fetched)),
            name => self.variables.get(name),
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

fn empty() -> Value {
    Value::from_pairs(std::iter::empty::<(&str, Value)>())
}

/// A value that this server fetched or a tool wrote: its line breaks are its own.
pub(super) fn fetched(json: &Json) -> Value {
    value_of(json, &|text| Value::from(text))
}

fn value_of(json: &Json, text: &dyn Fn(&str) -> Value) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => number.as_f64().map_or(Value::UNDEFINED, Value::from),
        },
        Json::String(string) => text(string),
        Json::Array(items) => items.iter().map(|item| value_of(item, text)).collect(),
        Json::Object(members) => {
            Value::from_pairs(members.iter().map(|(name, member)| (text(name), value_of(member, text))))
        }
    }
}

#[derive(Clone, Copy)]
enum Which {
    Caller,
    Session,
    Request,
    Agent,
    Env,
    Credentials,
}

struct Members {
    root: Arc<Root>,
    which: Which,
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members(…)")
    }
}

impl Object for Members {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let root = &self.root;
        match (self.which, name) {
            (Which::Caller, "tenant_id") => Some(root.text(root.caller.tenant().as_str())),
            (Which::Caller, "user_id") => root.caller.user().map(|user| root.text(user.as_str())),
            (Which::Caller, "source") => Some(Value::from(root.caller.source().as_str())),
            (Which::Session, "id") => root.session.as_ref().map(|id| root.text(id.as_str())),
            (Which::Session, "mode") => Some(Value::from(root.mode.as_str())),
            (Which::Request, "id") => Some(root.text(&root.request_id)),
            (Which::Request, "client_id") => root.client_id.as_deref().map(|id| root.text(id)),
            (Which::Agent, "name") => Some(Value::from(&*root.agent)),
            (Which::Env, name) if root.masked => {
                root.env.as_ref().and_then(|env| env.get(name)).map(|_| placeholder(&format!("env.{name}")))
            }
            (Which::Credentials, name) if root.masked => {
                root.credentials.get(name).map(|_| placeholder(&format!("credentials.{name}")))
            }
            (Which::Env, name) => root.env.as_ref().and_then(|env| env.get(name)).map(Value::from),
            (Which::Credentials, name) => root.credentials.get(name).map(|secret| fetched(secret.reveal())),
            _ => None,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    /// Small roots can be used whole, as JSON. The environment and the credentials cannot: each name has
    /// to be written.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.which {
            Which::Env | Which::Credentials => Enumerator::NonEnumerable,
            Which::Caller => Enumerator::Str(&["tenant_id", "user_id", "source"]),
            Which::Session => Enumerator::Str(&["id", "mode"]),
            Which::Request => Enumerator::Str(&["id", "client_id"]),
            Which::Agent => Enumerator::Str(&["name"]),
        }
    }
}
