//! The paths that a template reads: what has to be there for it to be whole.

use std::sync::Arc;

use minijinja::Value;
use serde_json::Value as Json;

use super::text::is_missing;
use super::view::View;

/// A path that a template reads: `headers.user_id`, `user.address.city`. Known from its source alone, as far as that says it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Use {
    /// The whole path, with dots. A header has its declared name.
    pub path: Arc<str>,
    /// Does the template say itself what is to be done without a value? So it is wherever each use stands in a condition or
    /// a loop's list, after one, or before `default`.
    pub guarded: bool,
    steps: Box<[Box<str>]>,
}

impl Use {
    pub(super) fn new(steps: Vec<Box<str>>, guarded: bool) -> Self {
        Self { path: steps.join(".").into(), guarded, steps: steps.into() }
    }

    /// The root: `headers`, or a variable's name.
    pub fn root(&self) -> &str {
        self.steps.first().map_or("", |root| root)
    }

    /// Has this value of the root what the path names? What is null is not there.
    ///
    /// ```
    /// use letterhead_context::{HeaderSchema, Scope, Sink, Template};
    /// use serde_json::json;
    ///
    /// let (schema, variables) = (HeaderSchema::empty(), ["user".to_owned()]);
    /// let scope = Scope { variables: &variables, ..Scope::of(&schema) };
    /// let template = Template::compile("Hello {{ user.name }}.", Sink::Instructions, scope).unwrap();
    /// let [used] = template.uses() else { panic!("one path") };
    ///
    /// assert!(used.is_in(&json!({ "name": "Zoe" })));
    /// assert!(!used.is_in(&json!("Guest User")));
    /// ```
    pub fn is_in(&self, root: &Json) -> bool {
        let found = self.steps.iter().skip(1).try_fold(root, |value, step| match value {
            Json::Object(members) => members.get(&**step),
            Json::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => None,
        });
        found.is_some_and(|value| !value.is_null())
    }
}

impl View {
    /// Has this path no value here?
    pub(super) fn lacks(&self, used: &Use) -> bool {
        let found = used.steps.iter().try_fold(self.root(), |value, step| {
            let member = value.get_attr(step).ok().filter(|member| !member.is_undefined());
            member.or_else(|| value.get_item(&Value::from(step.parse::<usize>().ok()?)).ok())
        });
        found.is_none_or(|value| is_missing(&value))
    }
}

/// Collects the paths that are read, and knows which of them may be missing.
#[derive(Default)]
pub(super) struct Uses {
    found: Vec<Use>,
    /// How many guards stand around the expression that is looked at.
    guards: usize,
    /// What has been read since somebody began to listen.
    heard: Vec<Vec<Box<str>>>,
    /// What has been asked for by the conditions around.
    known: Vec<Vec<Box<str>>>,
}

impl Uses {
    pub(super) fn note(&mut self, steps: Vec<Box<str>>) {
        let guarded = self.guards > 0 || self.known.contains(&steps);
        self.heard.push(steps.clone());
        let used = Use::new(steps, guarded);
        match self.found.iter_mut().find(|known| known.path == used.path) {
            Some(known) => known.guarded &= guarded,
            None => self.found.push(used),
        }
    }

    pub(super) fn guard(&mut self) {
        self.guards += 1;
    }

    pub(super) fn unguard(&mut self) {
        self.guards -= 1;
    }

    /// Begins to listen to what a condition asks for. Returns what was heard before.
    pub(super) fn listen(&mut self) -> Vec<Vec<Box<str>>> {
        std::mem::take(&mut self.heard)
    }

    /// What was heard is known from here on. Returns what to [`forget`](Self::forget) again.
    pub(super) fn learn(&mut self, before: Vec<Vec<Box<str>>>) -> usize {
        let known = self.known.len();
        let heard = std::mem::replace(&mut self.heard, before);
        self.known.extend(heard.iter().cloned());
        self.heard.extend(heard);
        known
    }

    pub(super) fn forget(&mut self, known: usize) {
        self.known.truncate(known);
    }

    pub(super) fn into_found(self) -> Vec<Use> {
        self.found
    }
}
