//! Tool calls that come in pieces. Providers differ in which pieces carry the index, the id and the name.

use std::borrow::Cow;

use super::fields::{Function, ToolCall};
use super::json;
use crate::model::{ModelError, ModelEvent};

/// The tool calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    /// The provider's index, if it gave one.
    index: Option<u64>,
    /// The provider's id; empty if it gave none.
    id: String,
    /// Arguments that came before the name.
    early: String,
    named: bool,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every call must have got a name.
    pub(super) fn end(&self) -> Result<(), ModelError> {
        if self.0.iter().all(|call| call.named) {
            Ok(())
        } else {
            Err(ModelError::malformed("it calls a tool without naming it"))
        }
    }

    /// Takes a piece of a call.
    pub(super) fn piece(&mut self, piece: &ToolCall<'_>) -> Option<ModelEvent> {
        let function = piece.function.as_ref();
        let name = function.and_then(|function| json::string(function.name));
        let arguments = json::json_text(function.and_then(|function| function.arguments));
        let id = json::string(piece.id).unwrap_or_default();
        let at = self.find(json::count(piece.index), &id, name.is_some());
        self.add(at, name, arguments)
    }

    /// Takes a piece of the one call that the old `function_call` field can hold.
    pub(super) fn legacy(&mut self, function: &Function<'_>) -> Option<ModelEvent> {
        let at = if self.0.is_empty() { self.begin(None, "") } else { self.0.len() - 1 };
        self.add(at, json::string(function.name), json::json_text(function.arguments))
    }

    /// Which call a piece belongs to: by index, else by id, else the last one. A new call begins with an index or an id
    /// not seen before. Some give every call the index 0: then another id with a name begins one too (another id alone
    /// does not, some make a new one for each piece).
    fn find(&mut self, index: Option<u64>, id: &str, has_name: bool) -> usize {
        let same = |call: &Call| id.is_empty() || call.id.is_empty() || call.id == id || !has_name;
        let known = match index {
            Some(_) => self.0.iter().rposition(|call| call.index == index && same(call)),
            None if !id.is_empty() => self.0.iter().rposition(|call| call.id == id),
            None if has_name => None,
            None => self.0.len().checked_sub(1),
        };
        known.unwrap_or_else(|| self.begin(index, id))
    }

    fn begin(&mut self, index: Option<u64>, id: &str) -> usize {
        self.0.push(Call { index, id: id.to_owned(), early: String::new(), named: false });
        self.0.len() - 1
    }

    fn add(&mut self, at: usize, name: Option<Cow<'_, str>>, arguments: String) -> Option<ModelEvent> {
        let call = self.0.get_mut(at)?;
        if call.named {
            // The name is not looked at: some repeat it with every piece.
            let more = !arguments.is_empty();
            return more.then_some(ModelEvent::ToolCall { index: at, id: None, name: None, arguments });
        }
        call.early.push_str(&arguments);
        let name = name?;
        call.named = true;
        let id = if call.id.is_empty() { made_up_id() } else { call.id.clone() };
        let arguments = std::mem::take(&mut call.early);
        Some(ModelEvent::ToolCall { index: at, id: Some(id), name: Some(name.into_owned()), arguments })
    }
}

/// An id for a call that came without one. Unique in the conversation, for results refer to it.
fn made_up_id() -> String {
    format!("call_{}", uuid::Uuid::new_v4().simple())
}
