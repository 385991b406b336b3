//! The context variables of a run, for templates to read; and what stands for a value that is not known yet.

use std::fmt;
use std::sync::{Arc, OnceLock};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use serde_json::Value as Json;

use super::view::fetched;

/// The context variables of a run, by name. Cheap to clone; `Debug` shows names alone.
///
/// ```
/// use std::sync::Arc;
///
/// use letterhead_context::VariableValues;
/// use serde_json::json;
///
/// let fetched: VariableValues = [(Arc::from("user"), Arc::new(json!({ "name": "Ada" })))].into_iter().collect();
/// assert_eq!(fetched.names().collect::<Vec<_>>(), ["user"]);
/// ```
#[derive(Clone, Default)]
pub struct VariableValues(Option<Arc<[Variable]>>);

struct Variable {
    name: Arc<str>,
    /// None: it has not been fetched, and its paths stand for themselves.
    json: Option<Arc<Json>>,
    /// Made when a template first asks for it, for all views of the run.
    value: OnceLock<Value>,
}

impl VariableValues {
    /// Variables with their values. One without a value stands for itself: `{{ user.name }}` gives `‹user.name›`.
    pub fn new(variables: impl IntoIterator<Item = (Arc<str>, Option<Arc<Json>>)>) -> Self {
        let made = variables.into_iter().map(|(name, json)| Variable { name, json, value: OnceLock::new() });
        let all: Arc<[Variable]> = made.collect();
        Self((!all.is_empty()).then_some(all))
    }

    /// The names of the variables that are there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|all| all.iter()).map(|variable| &*variable.name)
    }

    /// The document behind a name; none where it has not been fetched.
    pub(super) fn json(&self, name: &str) -> Option<&Json> {
        self.find(name)?.json.as_deref()
    }

    fn find(&self, name: &str) -> Option<&Variable> {
        self.0.as_ref()?.iter().find(|variable| &*variable.name == name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let variable = self.find(name)?;
        let value = variable.value.get_or_init(|| match &variable.json {
            Some(json) => fetched(json),
            None => placeholder(name),
        });
        Some(value.clone())
    }
}

impl FromIterator<(Arc<str>, Arc<Json>)> for VariableValues {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<Json>)>>(variables: I) -> Self {
        Self::new(variables.into_iter().map(|(name, json)| (name, Some(json))))
    }
}

impl fmt::Debug for VariableValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What stands for a value that is not known, or not shown: its path in angle quotes. So does every member of it.
pub(super) fn placeholder(path: &str) -> Value {
    Value::from_object(Placeholder { path: path.into() })
}

/// Does this stand for a value? Then filters leave it alone.
pub(super) fn is_placeholder(value: &Value) -> bool {
    value.downcast_object_ref::<Placeholder>().is_some()
}

struct Placeholder {
    path: Box<str>,
}

impl fmt::Debug for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\u{2039}{}\u{203a}", self.path)
    }
}

impl Object for Placeholder {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str() {
            Some(name) => placeholder(&format!("{}.{name}", self.path)),
            None => placeholder(&format!("{}[{key}]", self.path)),
        })
    }

    /// A list of one, so that a `for` shows what it would repeat.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(vec![placeholder(&format!("{}[*]", self.path))])
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
