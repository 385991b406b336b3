//! The mock model's answers, rendered once, and what it means to have received one whole.
//!
//! Both ends of the measurement share this file: what the upstream sends is what the load driver looks for.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

/// Content chunks in a streamed answer.
pub(crate) const CHUNKS: usize = 20;

/// The way in which an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One JSON document.
    Json,
    /// Server-sent events: [`CHUNKS`] of content, then finish reason, usage and `[DONE]`.
    Stream,
}

/// The word that chunk `n` carries; all of them in order are the answer.
fn word(n: usize) -> String {
    format!("word-{n:02} ")
}

fn usage() -> Value {
    json!({ "prompt_tokens": 64, "completion_tokens": CHUNKS, "total_tokens": 64 + CHUNKS })
}

/// The whole answer as one `chat.completion` document.
pub(crate) fn document() -> Bytes {
    let content: String = (0..CHUNKS).map(word).collect();
    let body = json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_767_225_600, "model": "mock-1",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": content, "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": usage(),
    });
    Bytes::from(body.to_string())
}

/// The same answer as the frames of a stream, one server-sent event each.
pub(crate) fn frames() -> Vec<Bytes> {
    let chunk = |choices: Value, usage: Value| {
        let body = json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": "mock-1",
            "choices": choices, "usage": usage,
        });
        Bytes::from(format!("data: {body}\n\n"))
    };
    let choice = |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);

    let mut frames: Vec<Bytes> = (0..CHUNKS)
        .map(|n| match n {
            0 => choice(json!({ "role": "assistant", "content": word(n) }), Value::Null),
            _ => choice(json!({ "content": word(n) }), Value::Null),
        })
        .map(|choices| chunk(choices, Value::Null))
        .collect();
    frames.push(chunk(choice(json!({}), json!("stop")), Value::Null));
    frames.push(chunk(json!([]), usage()));
    frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

impl Kind {
    /// Whether `body` is the mock's answer from its first word to its last, properly ended.
    ///
    /// # Errors
    /// Says what is missing. The body is quoted: it is the mock's own, or an error of the server under test.
    pub(crate) fn check(self, status: StatusCode, body: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(body).context("the answer is not UTF-8")?;
        ensure!(status == StatusCode::OK, "status {status}: {}", excerpt(text));
        let mut rest = text;
        for n in 0..CHUNKS {
            let Some((_, after)) = rest.split_once(word(n).trim_end()) else {
                bail!("chunk {n} of {CHUNKS} is missing: {}", excerpt(text));
            };
            rest = after;
        }
        ensure!(text.contains(r#""finish_reason":"stop""#), "no finish reason: {}", excerpt(text));
        let ended = match self {
            Self::Json => text.trim_end().ends_with('}'),
            Self::Stream => text.ends_with("data: [DONE]\n\n"),
        };
        ensure!(ended, "the answer breaks off: {}", excerpt(text));
        Ok(())
    }
}

/// The last part of `text`, where a broken answer shows why.
fn excerpt(text: &str) -> String {
    let skip = text.chars().count().saturating_sub(600);
    text.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        frames().concat()
    }

    #[test]
    fn whole_answers_pass() {
        Kind::Json.check(StatusCode::OK, &document()).unwrap();
        Kind::Stream.check(StatusCode::OK, &stream()).unwrap();
    }

    #[test]
    fn a_missing_chunk_is_seen() {
        let mut frames = frames();
        frames.remove(7);
        let fault = Kind::Stream.check(StatusCode::OK, &frames.concat()).unwrap_err();
        assert!(fault.to_string().contains("chunk 7 of 20"), "{fault}");
    }

    #[test]
    fn a_stream_without_its_end_is_seen() {
        let whole = stream();
        let cut = &whole[..whole.len() - b"data: [DONE]\n\n".len()];
        assert!(Kind::Stream.check(StatusCode::OK, cut).is_err());
    }

    #[test]
    fn an_error_status_is_seen_even_over_a_whole_body() {
        assert!(Kind::Json.check(StatusCode::BAD_GATEWAY, &document()).is_err());
    }
}
