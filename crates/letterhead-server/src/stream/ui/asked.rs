//! What delegates have said so far, to be shown as preliminary outputs of the calls that ask them.

use std::sync::Arc;

use letterhead::run::RunEvent;
use serde_json::{Value, json};

/// An agent that was asked, and those that it asks itself.
#[derive(Debug)]
pub(super) struct Asked {
    agent: Arc<str>,
    call_id: Arc<str>,
    text: String,
    children: Vec<Asked>,
    /// Whether the call still runs: some models use an id again.
    is_open: bool,
    /// The bytes that were said, by its children too, and how many of them were shown.
    said: usize,
    shown: usize,
}

impl Asked {
    pub(super) fn new(agent: &Arc<str>, call_id: &Arc<str>) -> Self {
        Self {
            agent: Arc::clone(agent),
            call_id: Arc::clone(call_id),
            text: String::new(),
            children: Vec::new(),
            is_open: true,
            said: 0,
            shown: 0,
        }
    }

    /// Hears what happened in its run. Gives an output where enough is new: each one repeats the whole text, so that a
    /// long one is shown in ever larger steps, not at every word.
    pub(super) fn hear(&mut self, event: &RunEvent) -> Option<Value> {
        self.take(event);
        (self.said > self.shown && self.said >= self.shown + self.shown / 16).then(|| self.show())
    }

    /// What was said and not shown, before its result takes the place of all this. None where the result says it too.
    pub(super) fn rest(&mut self, result: &str) -> Option<Value> {
        let is_told = self.children.is_empty() && self.text == result;
        (self.said > self.shown && !is_told).then(|| self.show())
    }

    fn show(&mut self) -> Value {
        self.shown = self.said;
        self.output()
    }

    fn output(&self) -> Value {
        let (agent, text) = (&*self.agent, &*self.text);
        if self.children.is_empty() {
            return json!({ "agent": agent, "text": text });
        }
        let children: Vec<Value> = self.children.iter().map(Self::output).collect();
        json!({ "agent": agent, "text": text, "children": children })
    }

    fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Text(text) | RunEvent::Refusal(text) => {
                self.text.push_str(text);
                self.said += text.len();
            }
            RunEvent::Child { agent, call_id, event } => {
                let known = self.children.iter().position(|child| child.is_open && child.call_id == *call_id);
                let at = known.unwrap_or(self.children.len());
                if known.is_none() {
                    self.children.push(Self::new(agent, call_id));
                }
                if let Some(child) = self.children.get_mut(at) {
                    let before = child.said;
                    child.take(event);
                    self.said += child.said - before;
                }
            }
            RunEvent::ToolCompleted { id, .. } => {
                self.children.iter_mut().filter(|child| child.call_id == *id).for_each(|child| child.is_open = false);
            }
            _ => {}
        }
    }
}
