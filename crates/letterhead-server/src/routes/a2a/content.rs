//! The parts of a message as content that models take, and back.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use letterhead_context::{Code, Fault, Problem};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::task::{Content, Part};
use crate::members::Members;
use crate::openai_message::MOST_FAULTS;

/// What may be sent, as the card says it. Whether an agent's model takes images, sound or files is another question.
pub(super) const INPUT_MODES: [&str; 9] = [
    "text/plain",
    "application/json",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/wav",
    "audio/mpeg",
    "application/pdf",
];

/// Base64 as clients write it, in either alphabet: the protocol's JSON has both.
const EITHER: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, EITHER);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, EITHER);

/// The content of a user's message in OpenAI's form.
///
/// # Errors
///
/// Every part that is none, or of a kind that no model could be shown, up to a number.
pub(super) fn read(parts: &[&RawValue]) -> Result<Value, Problem> {
    let mut content = Vec::with_capacity(parts.len());
    let mut faults = Vec::new();
    for (at, raw) in parts.iter().enumerate() {
        let pointer = format!("/params/message/parts/{at}");
        match part(raw) {
            Ok(part) => content.push(part),
            Err(Wrong { member, code, detail }) => {
                let pointer = if member.is_empty() { pointer } else { format!("{pointer}/{member}") };
                faults.push(Fault::pointer(pointer, code, detail));
            }
        }
        if faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if !faults.is_empty() {
        return Err(Problem::faults(faults));
    }
    let only = content.first().filter(|_| content.len() == 1).and_then(|part| part.get("text")).cloned();
    Ok(only.unwrap_or(Value::Array(content)))
}

/// What is wrong with a part.
struct Wrong {
    member: &'static str,
    code: Code,
    detail: String,
}

impl Wrong {
    fn body(member: &'static str, detail: impl Into<String>) -> Self {
        Self { member, code: Code::InvalidBody, detail: detail.into() }
    }

    fn content(member: &'static str, detail: impl Into<String>) -> Self {
        Self { member, code: Code::UnsupportedContent, detail: detail.into() }
    }
}

fn part(raw: &RawValue) -> Result<Value, Wrong> {
    let members = Members::read(raw.get().as_bytes()).map_err(|_| Wrong::body("", "expected an object"))?;
    let text = |name: &'static str| -> Result<Option<String>, Wrong> {
        members.get::<String>(name, "").map_err(|_| Wrong::body(name, "expected a string"))
    };
    let media_type = text("mediaType")?.map(|media| essence(&media));
    let media_type = media_type.as_deref();
    let filename = text("filename")?;
    let data = members.raw("data");
    match (text("text")?, text("raw")?, text("url")?, data) {
        (Some(text), None, None, None) => Ok(words(&text)),
        (None, Some(raw), None, None) => bytes(&raw, media_type, filename),
        (None, None, Some(url), None) => address(&url, media_type),
        (None, None, None, Some(data)) => Ok(words(data.get())),
        _ => Err(Wrong::body("", "expected exactly one of `text`, `data`, `url` and `raw`")),
    }
}

fn words(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// A media type without its parameters.
fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The bytes of a file.
fn bytes(raw: &str, media_type: Option<&str>, filename: Option<String>) -> Result<Value, Wrong> {
    let decoded = STANDARD.decode(raw).or_else(|_| URL_SAFE.decode(raw));
    let decoded = decoded.map_err(|_| Wrong::body("raw", "expected base64"))?;
    let Some(media_type) = media_type.filter(|media| !media.is_empty()) else {
        return Err(Wrong::content("mediaType", "bytes need a `mediaType`, such as `image/png`"));
    };
    // In one form, whichever they came in.
    let encoded = || BASE64_STANDARD.encode(&decoded);
    match media_type {
        "application/json" => text_file(decoded),
        "application/pdf" => {
            let filename = filename.unwrap_or_else(|| "file.pdf".to_owned());
            let url = format!("data:application/pdf;base64,{}", encoded());
            Ok(json!({ "type": "file", "file": { "file_data": url, "filename": filename } }))
        }
        "audio/wav" | "audio/x-wav" | "audio/wave" => Ok(sound(&encoded(), "wav")),
        "audio/mpeg" | "audio/mp3" => Ok(sound(&encoded(), "mp3")),
        _ if media_type.starts_with("image/") => {
            let url = format!("data:{media_type};base64,{}", encoded());
            Ok(json!({ "type": "image_url", "image_url": { "url": url } }))
        }
        _ if media_type.starts_with("text/") => text_file(decoded),
        _ => Err(unsupported()),
    }
}

fn text_file(bytes: Vec<u8>) -> Result<Value, Wrong> {
    let text = String::from_utf8(bytes).map_err(|_| Wrong::content("raw", "expected a text in UTF-8"))?;
    Ok(words(&text))
}

fn sound(data: &str, format: &str) -> Value {
    json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } })
}

/// A file that is somewhere else. This server fetches nothing for a client: the model's provider has to, and for images does.
fn address(url: &str, media_type: Option<&str>) -> Result<Value, Wrong> {
    let is_address = ["https://", "http://", "data:"].iter().any(|scheme| url.starts_with(scheme));
    if !is_address {
        return Err(Wrong::body("url", "expected an address that begins with `https://`, `http://` or `data:`"));
    }
    if media_type.is_some_and(|media| media.starts_with("image/")) || url.starts_with("data:image/") {
        return Ok(json!({ "type": "image_url", "image_url": { "url": url } }));
    }
    Err(Wrong::content(
        "mediaType",
        "only images can be sent by their address (`mediaType: image/…`); send the file in `raw`",
    ))
}

fn unsupported() -> Wrong {
    let modes = INPUT_MODES.join(", ");
    Wrong::content(
        "mediaType",
        format!("content of this type cannot be shown to a model; send one of {modes}, or another text"),
    )
}

/// The parts that a stored message's content was made of, as far as it tells.
pub(super) fn written(content: &RawValue) -> Vec<Part> {
    match serde_json::from_str(content.get()) {
        Ok(Value::String(text)) => vec![Part::text(text)],
        Ok(Value::Array(parts)) => parts.iter().filter_map(written_part).collect(),
        _ => Vec::new(),
    }
}

fn written_part(part: &Value) -> Option<Part> {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
    match text("/type")? {
        "image_url" => Some(file(text("/image_url/url")?, Some("image/*"), None)),
        "file" => Some(file(text("/file/file_data")?, None, text("/file/filename"))),
        "input_audio" => {
            let media_type = if text("/input_audio/format")? == "wav" { "audio/wav" } else { "audio/mpeg" };
            let content = Content::Raw(text("/input_audio/data")?.to_owned());
            Some(Part { media_type: Some(media_type.to_owned()), ..Part::of(content) })
        }
        _ => text("/text").map(Part::text),
    }
}

/// A file, from its address or from a `data:` URL that holds it.
fn file(url: &str, otherwise: Option<&str>, filename: Option<&str>) -> Part {
    let held = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let (content, media_type) = match held {
        Some((media_type, data)) => (Content::Raw(data.to_owned()), Some(media_type)),
        None => (Content::Url(url.to_owned()), otherwise),
    };
    Part { content, filename: filename.map(str::to_owned), media_type: media_type.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(part: &Value) -> Result<Value, (String, &'static str)> {
        let raw = RawValue::from_string(part.to_string()).unwrap();
        read(&[&raw]).map_err(|problem| {
            let fault = &problem.errors()[0];
            let letterhead_context::Place::Pointer(pointer) = &fault.place else { panic!("{fault:?}") };
            (pointer.replacen("/params/message/parts/0", "", 1), fault.code.as_str())
        })
    }

    #[test]
    fn what_models_take_is_what_they_are_shown() {
        let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,+/8=" } });
        let photo = json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } });
        let pdf =
            json!({ "type": "file", "file": { "file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf" } });
        let tone = json!({ "type": "input_audio", "input_audio": { "data": "UklG", "format": "wav" } });
        for (part, content) in [
            (json!({ "text": "Hi" }), json!("Hi")),
            (json!({ "text": "", "metadata": { "a": 1 } }), json!("")),
            (json!({ "data": { "a": [1] }, "mediaType": "application/json" }), json!("{\"a\":[1]}")),
            (json!({ "data": 7 }), json!("7")),
            (json!({ "raw": "+/8=", "mediaType": "image/png" }), json!([image])),
            // Without padding, and in the alphabet of addresses.
            (json!({ "raw": "-_8", "mediaType": "IMAGE/PNG; a=b" }), json!([image])),
            (json!({ "raw": "SGk=", "mediaType": "text/markdown; charset=utf-8" }), json!("Hi")),
            (json!({ "raw": "e30=", "mediaType": "application/json" }), json!("{}")),
            (json!({ "raw": "JVBE", "mediaType": "application/pdf", "filename": "a.pdf" }), json!([pdf])),
            (json!({ "raw": "UklG", "mediaType": "audio/x-wav" }), json!([tone])),
            (json!({ "url": "https://example.com/a.png", "mediaType": "image/png" }), json!([photo])),
        ] {
            assert_eq!(sent(&part), Ok(content), "{part}");
        }
    }

    #[test]
    fn what_is_no_part_or_nothing_for_a_model_is_told_where() {
        for (part, place, code) in [
            (json!(1), "", "invalid_body"),
            (json!({}), "", "invalid_body"),
            (json!({ "text": null }), "", "invalid_body"),
            (json!({ "text": "a", "data": 1 }), "", "invalid_body"),
            (json!({ "text": 7 }), "/text", "invalid_body"),
            (json!({ "text": "a", "mediaType": 1 }), "/mediaType", "invalid_body"),
            (json!({ "text": "a", "filename": [] }), "/filename", "invalid_body"),
            (json!({ "raw": "*", "mediaType": "image/png" }), "/raw", "invalid_body"),
            (json!({ "raw": "AA==" }), "/mediaType", "unsupported_content"),
            (json!({ "raw": "AA==", "mediaType": "video/mp4" }), "/mediaType", "unsupported_content"),
            (json!({ "raw": "/w==", "mediaType": "text/plain" }), "/raw", "unsupported_content"),
            (json!({ "url": "file:///etc/passwd", "mediaType": "image/png" }), "/url", "invalid_body"),
            (
                json!({ "url": "https://example.com/a.pdf", "mediaType": "application/pdf" }),
                "/mediaType",
                "unsupported_content",
            ),
            (json!({ "url": "https://example.com/a" }), "/mediaType", "unsupported_content"),
        ] {
            assert_eq!(sent(&part), Err((place.to_owned(), code)), "{part}");
        }
    }

    #[test]
    fn a_stored_message_is_told_in_parts_again() {
        for part in [
            json!({ "text": "Hi" }),
            json!({ "raw": "+/8=", "mediaType": "image/png" }),
            json!({ "raw": "UklG", "mediaType": "audio/wav" }),
            json!({ "raw": "JVBE", "filename": "a.pdf", "mediaType": "application/pdf" }),
            json!({ "url": "https://example.com/a.png", "mediaType": "image/*" }),
        ] {
            let content = RawValue::from_string(sent(&part).unwrap().to_string()).unwrap();
            let written = serde_json::to_value(written(&content)).unwrap();
            assert_eq!(written, json!([part]));
        }
    }
}
