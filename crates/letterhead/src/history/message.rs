//! One message of a conversation: how long it is, what it says, and how it looks with its middle left out.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::key::Key;
use super::{grouped, tokens};

/// A text with more tokens than this is long: of such a one its ends are sent.
const LONG: u64 = 500;

/// The tokens of each end.
const END: u64 = 125;

/// What a long text counts for without its middle: two ends, and the words between them.
const SHORTENED: u64 = 2 * END + 40;

/// What a message counts for beside what it says.
const AROUND: u64 = 4;

/// What an image counts for, whatever its size. Other files count for more, by their size.
const IMAGE: u64 = 1_000;

/// The bytes of a file, as it is written in a message, that count for one token.
const FILE_BYTES: u64 = 100;

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Assistant,
    /// A tool's result. It belongs to the answer before it.
    Tool,
    Other,
}

/// What a message counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) speaker: Speaker,
    /// As it is.
    pub(super) whole: u64,
    /// With the middle of its long texts left out.
    pub(super) short: u64,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

impl Measure {
    /// Measures a message. One that cannot be read counts by its length, and is never shortened.
    pub(super) fn of(body: &str) -> Self {
        let Ok(message) = serde_json::from_str::<Message<'_>>(body) else {
            let whole = tokens::of(body);
            return Self { speaker: Speaker::Other, whole, short: whole };
        };
        let speaker = match &*message.role {
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            "tool" => Speaker::Tool,
            _ => Speaker::Other,
        };
        let fixed = AROUND + message.tool_calls.map_or(0, |calls| tokens::of(calls.get()));
        let (mut whole, mut short) = (fixed, fixed);
        let mut add = |(text, shortened): (u64, u64)| {
            whole += text;
            short += if speaker == Speaker::Other { text } else { shortened };
        };
        match message.content.map(RawValue::get) {
            None => {}
            Some(content) => match serde_json::from_str::<Vec<&RawValue>>(content) {
                Ok(parts) => parts.into_iter().for_each(|part| add(part_measure(part.get()))),
                Err(_) => add(text_measure(content)),
            },
        }
        Self { speaker, whole, short }
    }
}

/// What a text counts for, whole and shortened.
fn text_measure(text: &str) -> (u64, u64) {
    let whole = tokens::of(text);
    (whole, if whole > LONG { SHORTENED } else { whole })
}

fn part_measure(raw: &str) -> (u64, u64) {
    let Ok(part) = serde_json::from_str::<Part<'_>>(raw) else { return (tokens::of(raw), tokens::of(raw)) };
    let all = match (&*part.kind, part.text) {
        ("text", Some(text)) => return text_measure(text.get()),
        ("image_url", _) => IMAGE,
        ("input_audio" | "file", _) => IMAGE + u64::try_from(raw.len()).unwrap_or(u64::MAX) / FILE_BYTES,
        _ => tokens::of(raw),
    };
    (all, all)
}

/// A message with the middle of its long texts left out; itself if it has none. All else stays: calls, images, files.
pub(super) fn shortened(body: &Arc<str>, number: usize) -> Arc<str> {
    let measure = Measure::of(body);
    if measure.short == measure.whole {
        return Arc::clone(body);
    }
    shorten_texts(body, number).map_or_else(|| Arc::clone(body), |message| message.to_string().into())
}

/// The message with its long texts shortened: the same that its measure took for long.
fn shorten_texts(body: &str, number: usize) -> Option<Value> {
    let mut message: Value = serde_json::from_str(body).ok()?;
    match message.get_mut("content")? {
        Value::String(text) => shorten(text, number),
        Value::Array(parts) => {
            let raw: Message<'_> = serde_json::from_str(body).ok()?;
            let raw: Vec<&RawValue> = serde_json::from_str(raw.content?.get()).ok()?;
            for (part, raw) in parts.iter_mut().zip(raw) {
                let (whole, short) = part_measure(raw.get());
                if let Some(Value::String(text)) = part.get_mut("text").filter(|_| short < whole) {
                    shorten(text, number);
                }
            }
        }
        _ => {}
    }
    Some(message)
}

/// Leaves out the middle of a long text, and says what shows it.
fn shorten(text: &mut String, number: usize) {
    let (start, end) = (tokens::start(text, END), tokens::end(text, END));
    // It was only written at length, with escapes.
    if start.len() + end.len() >= text.len() {
        return;
    }
    let all = text.chars().count();
    let left_out = all.saturating_sub(start.chars().count()).saturating_sub(end.chars().count());
    let (key, count) = (Key::Message(number), grouped(left_out));
    *text = format!("{start}\n‹… {count} characters are left out here; lookup(\"{key}\") shows the whole …›\n{end}");
}

/// What a message says, without its form: what `lookup` shows of one.
pub(super) fn said(body: &str) -> String {
    let Ok(message) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    let mut said: Vec<Cow<'_, str>> = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) => said.push(Cow::Borrowed(text)),
        Some(Value::Array(parts)) => said.extend(parts.iter().map(|part| match part.get("text") {
            Some(Value::String(text)) => Cow::Borrowed(text.as_str()),
            _ => Cow::Owned(format!("[{}]", part.get("type").and_then(Value::as_str).unwrap_or("something"))),
        })),
        _ => {}
    }
    said.extend(message.get("refusal").and_then(Value::as_str).map(Cow::Borrowed));
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let of_call = |field| call.pointer(field).and_then(Value::as_str).unwrap_or_default();
        said.push(Cow::Owned(format!("[calls {} {}]", of_call("/function/name"), of_call("/function/arguments"))));
    }
    said.retain(|text| !text.is_empty());
    said.join("\n\n")
}

/// Who says it, and what: a line of what `lookup` shows of several messages.
pub(super) fn line(body: &str, number: usize) -> String {
    let role = serde_json::from_str::<Message<'_>>(body).map_or_else(|_| "?".to_owned(), |message| message.role.into());
    format!("{} {role}: {}", Key::Message(number), said(body))
}
