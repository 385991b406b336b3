//! What differs from run to run, replaced, so that the rest can be compared to the byte.

use serde_json::Value;

use super::Event;

/// Replaces ids and times.
pub(crate) fn tidy(mut value: Value) -> Value {
    walk(&mut value);
    value
}

fn walk(value: &mut Value) {
    match value {
        Value::String(text) => {
            for prefix in ["chatcmpl-", "msg_", "req_"] {
                if text.starts_with(prefix) && text.len() == prefix.len() + 32 {
                    *text = format!("[{prefix}…]");
                }
            }
            if text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4 {
                *text = "[uuid]".to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::Object(members) => {
            for (name, member) in members {
                if name.starts_with("created") || name.starts_with("updated") || name == "timestamp" {
                    *member = "[time]".into();
                }
                walk(member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A stream, an event a line.
pub(crate) fn transcript(events: &[Event]) -> String {
    let line = |event: &Event| {
        let name = event.name.as_deref().map_or_else(String::new, |name| format!("{name}: "));
        let data = serde_json::from_str(&event.data).map_or_else(|_| event.data.clone(), |data| tidy(data).to_string());
        format!("{name}{data}\n")
    };
    events.iter().map(line).collect()
}
