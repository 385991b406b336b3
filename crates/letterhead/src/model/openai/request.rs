//! The request's body. Messages and tools are spliced in as they stand: what was stored as JSON is not read again.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::ModelCall;
use crate::model::OWN_FIELDS;

/// Writes the body of a call.
pub(super) fn body(call: &ModelCall) -> Bytes {
    let messages: usize = call.messages.iter().map(|message| message.len() + 1).sum();
    let tools: usize = call.tools.iter().map(|tool| tool.openai_json().len() + 1).sum();
    let instructions = call.instructions.as_deref().map_or(0, |text| text.len() + text.len() / 8 + 32);
    let mut json = Vec::with_capacity(messages + tools + instructions + 512);

    json.extend_from_slice(b"{\"model\":");
    write(&mut json, &*call.model);
    json.extend_from_slice(b",\"messages\":[");
    if let Some(instructions) = call.instructions.as_deref().filter(|text| !text.is_empty()) {
        json.extend_from_slice(b"{\"role\":\"system\",\"content\":");
        write(&mut json, instructions);
        json.extend_from_slice(b"},");
    }
    list(&mut json, call.messages.iter().map(AsRef::as_ref));
    json.push(b']');
    if !call.tools.is_empty() {
        json.extend_from_slice(b",\"tools\":[");
        list(&mut json, call.tools.iter().map(|tool| tool.openai_json()));
        json.push(b']');
        if let Some(choice) = &call.tool_choice {
            json.extend_from_slice(b",\"tool_choice\":");
            json.extend_from_slice(choice.get().as_bytes());
        }
    }
    if let Some(output) = &call.output {
        let schema = json!({"name": output.name, "schema": output.schema, "strict": output.strict});
        field(&mut json, "response_format", &json!({"type": "json_schema", "json_schema": schema}));
    }
    if call.stream {
        json.extend_from_slice(b",\"stream\":true");
        match call.params.get("stream_options") {
            Some(Value::Object(options)) => {
                let mut options = options.clone();
                options.insert("include_usage".to_owned(), true.into());
                field(&mut json, "stream_options", &options);
            }
            _ => json.extend_from_slice(b",\"stream_options\":{\"include_usage\":true}"),
        }
    }
    for (name, value) in &call.params {
        let own = OWN_FIELDS.contains(&name.as_str())
            || name == "stream_options"
            || (name == "response_format" && call.output.is_some())
            || (name == "parallel_tool_calls" && call.tools.is_empty());
        if !own {
            field(&mut json, name, value);
        }
    }
    json.push(b'}');
    json.into()
}

/// Writes `items` with commas between them, over the comma that a first item may have left.
fn list<'a>(json: &mut Vec<u8>, items: impl Iterator<Item = &'a str>) {
    for item in items {
        json.extend_from_slice(item.as_bytes());
        json.push(b',');
    }
    if json.last() == Some(&b',') {
        json.pop();
    }
}

fn field(json: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    json.push(b',');
    write(json, name);
    json.push(b':');
    write(json, value);
}

/// Writes a value. Strings and JSON values always can be.
fn write<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    let length = json.len();
    if serde_json::to_writer(&mut *json, value).is_err() {
        json.truncate(length);
        json.extend_from_slice(b"null");
    }
}
