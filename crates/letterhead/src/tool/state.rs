//! The object that tools and templates of a session share.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

/// How large the state may be, as JSON.
pub const MAX_STATE_BYTES: usize = 64 * 1024;

/// The object that tools and templates of a session share, kept over turns. Clones share it.
///
/// ```
/// use letterhead::tool::State;
///
/// let state = State::default();
/// state.set("cart", serde_json::json!(["book"])).unwrap();
/// assert_eq!(state.get("cart"), Some(serde_json::json!(["book"])));
/// assert!(state.set("big", "x".repeat(100_000).into()).is_err());
/// ```
#[derive(Clone, Default)]
pub struct State(Arc<Mutex<Inner>>);

struct Inner {
    /// Always an object.
    members: Arc<Value>,
    changed: bool,
}

impl Default for Inner {
    fn default() -> Self {
        Self { members: Arc::new(Value::Object(Map::new())), changed: false }
    }
}

/// The change would make the state too large; it was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's state would be over 64 KiB")]
pub struct StateTooLarge;

impl State {
    /// The state as it was kept: a JSON object. Anything else is an empty one.
    pub fn from_json(text: &str) -> Self {
        serde_json::from_str::<Value>(text).map(|members| Self::from_snapshot(Arc::new(members))).unwrap_or_default()
    }

    /// A state of its own that starts from a [`snapshot`](Self::snapshot), which does not change with it. What is no
    /// object counts as an empty one.
    pub fn from_snapshot(members: Arc<Value>) -> Self {
        if !members.is_object() {
            return Self::default();
        }
        Self(Arc::new(Mutex::new(Inner { members, changed: false })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One member.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.lock().members.get(name).cloned()
    }

    /// Sets one member.
    ///
    /// # Errors
    ///
    /// If the whole would be larger than [`MAX_STATE_BYTES`]; then nothing changes.
    pub fn set(&self, name: &str, value: Value) -> Result<(), StateTooLarge> {
        let mut inner = self.lock();
        let mut members = match &*inner.members {
            Value::Object(members) => members.clone(),
            _ => Map::new(),
        };
        members.insert(name.to_owned(), value);
        let members = Value::Object(members);
        if members.to_string().len() > MAX_STATE_BYTES {
            return Err(StateTooLarge);
        }
        inner.members = Arc::new(members);
        inner.changed = true;
        Ok(())
    }

    /// Removes one member.
    pub fn remove(&self, name: &str) {
        let mut inner = self.lock();
        if let Value::Object(members) = Arc::make_mut(&mut inner.members)
            && members.shift_remove(name).is_some()
        {
            inner.changed = true;
        }
    }

    /// The whole, as templates read it.
    pub fn snapshot(&self) -> Arc<Value> {
        Arc::clone(&self.lock().members)
    }

    /// The whole as JSON text, if this run changed it.
    pub fn changed_json(&self) -> Option<Arc<str>> {
        let inner = self.lock();
        inner.changed.then(|| inner.members.to_string().into())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State(…)")
    }
}
