//! Content parts, from OpenAI's form to Anthropic's blocks.

use serde_json::{Value, json};

use crate::model::ModelError;

/// The images that the API takes as data.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The blocks of a message's content. Empty texts are left out: the API refuses them.
pub(super) fn blocks(content: &Value) -> Result<Vec<Value>, ModelError> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(text_block(text).into_iter().collect()),
        Value::Array(parts) => parts.iter().filter_map(|part| block(part).transpose()).collect(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(ModelError::unsupported("content of that form")),
    }
}

/// All text of a content.
pub(super) fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

pub(super) fn text_block(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text}))
}

fn block(part: &Value) -> Result<Option<Value>, ModelError> {
    let field = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
    match field("/type").unwrap_or_default() {
        "text" => Ok(field("/text").and_then(text_block)),
        "refusal" => Ok(field("/refusal").and_then(text_block)),
        "image_url" => image(field("/image_url/url").unwrap_or_default()).map(Some),
        "file" => {
            let data = field("/file/file_data").or_else(|| field("/file/file_url"));
            document(data.unwrap_or_default(), field("/file/filename")).map(Some)
        }
        "input_audio" => Err(ModelError::unsupported("audio")),
        _ => Err(ModelError::unsupported("a content part of that type")),
    }
}

fn image(url: &str) -> Result<Value, ModelError> {
    match data(url) {
        Some((media, data)) if IMAGES.contains(&media) => Ok(json!({"type": "image", "source": base64(media, data)})),
        Some(_) => Err(ModelError::unsupported("images that are not JPEG, PNG, GIF or WebP")),
        None if is_web(url) => Ok(json!({"type": "image", "source": {"type": "url", "url": url}})),
        None => Err(ModelError::unsupported("an image without an http(s) or base64 data URL")),
    }
}

fn document(url: &str, name: Option<&str>) -> Result<Value, ModelError> {
    let source = match data(url) {
        Some((media @ "application/pdf", data)) => base64(media, data),
        Some((media, data)) if IMAGES.contains(&media) => {
            return Ok(json!({"type": "image", "source": base64(media, data)}));
        }
        Some(_) => return Err(ModelError::unsupported("files that are not PDF")),
        None if is_web(url) => json!({"type": "url", "url": url}),
        None => return Err(ModelError::unsupported("a file without its data, or by an id")),
    };
    Ok(match name {
        Some(name) => json!({"type": "document", "source": source, "title": name}),
        None => json!({"type": "document", "source": source}),
    })
}

/// The media type and the base64 text of a data URL.
fn data(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let (media, _) = head.strip_suffix(";base64")?.split_once(';').unwrap_or((head.strip_suffix(";base64")?, ""));
    Some((media, data))
}

fn base64(media: &str, data: &str) -> Value {
    json!({"type": "base64", "media_type": media, "data": data})
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
