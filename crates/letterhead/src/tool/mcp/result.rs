//! From a server's result to what the model is told.

use letterhead_context::CarriedSecrets;
use serde_json::{Map, Value};

use crate::tool::ToolError;
use crate::tool::json_rpc::AskFault;
use crate::tool::told::{MOST_OF_MESSAGE, MOST_TOLD, cut};

/// The text that the model is told of a call's result.
pub(super) fn result(mut result: Value, carried: &CarriedSecrets) -> Result<String, ToolError> {
    carried.remove_from(&mut result);
    let Value::Object(mut members) = result else {
        return Err(ToolError::new("The server was called, but its answer is no result of a tool."));
    };
    match members.get("resultType").and_then(Value::as_str) {
        None | Some("complete") => {}
        Some("input_required") => {
            return Err(ToolError::new(
                "The server asks for more from the user before it goes on, which it cannot be given here. Nothing was \
                 done, or not all of it.",
            ));
        }
        Some(_) => {
            return Err(ToolError::new("The server was called, but its answer is of a kind that is not known here."));
        }
    }
    let is_error = members.get("isError").and_then(Value::as_bool).unwrap_or(false);
    let content = members.remove("content").unwrap_or_default();
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = blocks.iter().filter_map(Value::as_object).map(block).collect::<Vec<_>>().join("\n");
    // Servers that speak well put the same into the content.
    if let Some(structured) = members.remove("structuredContent").filter(|_| text.is_empty()) {
        text = structured.to_string();
    }
    let text = match (text.is_empty(), is_error) {
        (true, true) => "The tool failed, and does not say why.".to_owned(),
        (true, false) => "Done: the tool gave no content.".to_owned(),
        (false, _) => cut(text, MOST_TOLD),
    };
    if is_error { Err(ToolError::new(text)) } else { Ok(text) }
}

/// One block of a result. What is no text is named and not shown.
fn block(block: &Map<String, Value>) -> String {
    let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    let size = |data: &str| data.len() / 4 * 3;
    match text("type") {
        "text" => text("text").to_owned(),
        kind @ ("image" | "audio") => format!("[{kind}, {}, about {} bytes]", text("mimeType"), size(text("data"))),
        "resource_link" => format!("[resource {}: {}]", text("name"), text("uri")),
        "resource" => {
            let resource = block.get("resource");
            let part = |name: &str| resource.and_then(|it| it.get(name)).and_then(Value::as_str);
            let uri = part("uri").unwrap_or_default();
            match part("text") {
                Some(text) => format!("[resource {uri}]\n{text}"),
                None => format!("[resource {uri}, about {} bytes]", size(part("blob").unwrap_or_default())),
            }
        }
        _ => "[content of a kind that is not known here]".to_owned(),
    }
}

/// The call brought no result. What the server says of an error in the protocol's own words, the model may act on.
pub(super) fn failed(fault: AskFault, carried: &CarriedSecrets) -> ToolError {
    match fault {
        AskFault::Error { message, code, .. } if !message.trim().is_empty() => {
            let mut message = Value::from(message);
            carried.remove_from(&mut message);
            let message = cut(message.as_str().unwrap_or_default().to_owned(), MOST_OF_MESSAGE);
            ToolError::new(format!("The server refused the call with error {code}: {message}"))
        }
        AskFault::NoToken(no) => ToolError::new(format!("The call was not made: {no}.")),
        fault => ToolError::new(format!("The call failed: {fault}.")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value: Value) -> Result<String, String> {
        result(value, &CarriedSecrets::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_told_and_everything_else_is_named() {
        let content = json!([
            { "type": "text", "text": "One." },
            { "type": "image", "mimeType": "image/png", "data": "AAAAAAAA" },
            { "type": "resource_link", "name": "report", "uri": "file:///r.pdf" },
            { "type": "resource", "resource": { "uri": "file:///a.txt", "text": "Two." } },
            { "type": "resource", "resource": { "uri": "file:///b", "blob": "AAAA" } },
            { "type": "hologram" },
            7,
        ]);
        assert_eq!(
            told(json!({ "content": content, "structuredContent": { "a": 1 } })).unwrap(),
            "One.\n[image, image/png, about 6 bytes]\n[resource report: file:///r.pdf]\n[resource file:///a.txt]\nTwo.\n\
             [resource file:///b, about 3 bytes]\n[content of a kind that is not known here]"
        );
        assert_eq!(told(json!({ "content": [], "structuredContent": { "a": 1 } })).unwrap(), r#"{"a":1}"#);
        assert_eq!(told(json!({})).unwrap(), "Done: the tool gave no content.");
    }

    #[test]
    fn what_failed_is_an_error_in_the_tools_words() {
        let no = json!({ "content": [{ "type": "text", "text": "No such order." }], "isError": true });
        assert_eq!(told(no).unwrap_err(), "No such order.");
        assert_eq!(told(json!({ "isError": true })).unwrap_err(), "The tool failed, and does not say why.");
        assert!(told(json!({ "resultType": "input_required" })).unwrap_err().contains("asks for more from the user"));
        assert!(told(json!({ "resultType": "later" })).unwrap_err().contains("a kind that is not known"));
        assert!(told(json!([])).unwrap_err().contains("no result of a tool"));
    }

    #[test]
    fn a_long_result_is_cut_and_says_so() {
        let long = told(json!({ "content": [{ "type": "text", "text": "ü".repeat(40_000) }] })).unwrap();
        assert!(long.ends_with("\n[Cut here: these are the first 65536 of 80000 bytes.]"));
        let fault = AskFault::Error {
            status: http::StatusCode::OK,
            code: -32602,
            message: "x".repeat(5000),
            data: Value::Null,
        };
        assert!(failed(fault, &CarriedSecrets::default()).to_string().len() < 1200);
    }

    /// Most of a secret is as good as the whole.
    #[test]
    fn a_secret_is_taken_out_before_anything_is_cut() {
        let mut carried = CarriedSecrets::default();
        carried.insert("canary-0123456789");
        let message = format!("{} canary-0123456789 is wrong", "x".repeat(MOST_OF_MESSAGE - 16));
        let fault = AskFault::Error { status: http::StatusCode::OK, code: -32602, message, data: Value::Null };
        let told = failed(fault, &carried).to_string();
        assert!(!told.contains("canary"), "{told}");
    }
}
