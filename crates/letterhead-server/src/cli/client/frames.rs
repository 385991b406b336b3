//! The events of a stream, as they come.

use std::collections::VecDeque;

use letterhead::model::sse::Parser;

use super::Failure;

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Frame {
    /// The `event` field; empty if there was none.
    pub(in crate::cli) name: String,
    /// The data.
    pub(in crate::cli) data: String,
}

/// The events of one answer.
#[derive(Debug)]
pub(in crate::cli) struct Frames {
    response: reqwest::Response,
    parser: Parser,
    ready: VecDeque<Frame>,
}

impl Frames {
    pub(super) fn of(response: reqwest::Response) -> Self {
        Self { response, parser: Parser::default(), ready: VecDeque::new() }
    }

    /// The next event; none when the connection has ended. Whether that was the end of the answer, the protocol says.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            let ready = &mut self.ready;
            let keep = |event: letterhead::model::sse::Event<'_>| {
                ready.push_back(Frame { name: event.name.to_owned(), data: event.data.to_owned() });
            };
            match self.response.chunk().await {
                Ok(Some(bytes)) => {
                    self.parser.feed(&bytes, keep).map_err(|error| Failure::new(error.to_string()))?;
                }
                // An event without its last empty line was cut off: it is not taken for one.
                Ok(None) => return Ok(None),
                Err(error) => return Err(Failure::broken_off(&error)),
            }
        }
    }
}
