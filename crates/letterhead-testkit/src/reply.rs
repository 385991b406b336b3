//! What a model says, before it is put into a protocol's words.

use serde_json::Value;

use crate::wire::Recorded;
use crate::{Answer, anthropic, openai};

/// What a model says. The server puts it into the words that a request wants: OpenAI's or Anthropic's, by the path; a
/// stream or one piece, by its `stream` field.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(crate) text: String,
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) usage: (u64, u64),
    pub(crate) finish: Option<String>,
}

impl Reply {
    /// Text. Streamed word by word.
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), usage: (10, 5), ..Self::default() }
    }

    /// A tool call. Its id is `call_N_I`: N counts the server's requests, I the calls of this reply, both from 0.
    pub fn tool(name: &str, arguments: Value) -> Self {
        Self::text("").and_tool(name, arguments)
    }

    /// One more tool call.
    #[must_use]
    pub fn and_tool(mut self, name: &str, arguments: Value) -> Self {
        self.calls.push((name.to_owned(), arguments));
        self
    }

    /// Tokens sent and answered; else 10 and 5.
    #[must_use]
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage = (input, output);
        self
    }

    /// Why it ended, in the protocol's own words.
    #[must_use]
    pub fn finish(mut self, reason: &str) -> Self {
        self.finish = Some(reason.to_owned());
        self
    }

    pub(crate) fn answer(&self, request: &Recorded, number: usize) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let streamed = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
        match (request.route().ends_with("/messages"), streamed) {
            (false, false) => Answer::json(&openai::whole(self, number)),
            (false, true) => Answer::bytes("text/event-stream", openai::stream(self, number)),
            (true, false) => Answer::json(&anthropic::whole(self, number)),
            (true, true) => Answer::bytes("text/event-stream", anthropic::stream(self, number)),
        }
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split_inclusive(' ')
    }

    /// The calls with their ids.
    pub(crate) fn numbered(&self, number: usize) -> impl Iterator<Item = (String, &str, &Value)> {
        self.calls
            .iter()
            .enumerate()
            .map(move |(at, (name, arguments))| (format!("call_{number}_{at}"), name.as_str(), arguments))
    }
}

/// What is done with one request.
#[derive(Debug)]
pub enum Script {
    /// A reply in the request's protocol.
    Reply(Reply),
    /// An answer to the byte.
    Answer(Answer),
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Answer> for Script {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}
