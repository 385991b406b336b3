//! Server-sent events, by the [standard](https://html.spec.whatwg.org/multipage/server-sent-events.html): bytes in,
//! events out, however the bytes are cut.
//!
//! Own code because an event must be bounded: a provider that never ends one may not fill the memory.
//!
//! ```
//! use letterhead::model::sse::Parser;
//!
//! let mut parser = Parser::default();
//! let mut seen = Vec::new();
//! parser.feed(b"event: done\nda", |_| {})?;
//! parser.feed(b"ta: {}\n\n", |event| seen.push((event.name.to_owned(), event.data.to_owned())))?;
//! assert_eq!(seen, [("done".to_owned(), "{}".to_owned())]);
//! # Ok::<(), letterhead::model::sse::TooLarge>(())
//! ```

use std::fmt;

/// An event of a stream. `Debug` shows how long its data is, and not what it says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; empty if there was none.
    pub name: &'a str,
    /// The `data` fields, joined by line breaks.
    pub data: &'a str,
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("name", &self.name).field("data_bytes", &self.data.len()).finish()
    }
}

/// An event is larger than a mebibyte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than a mebibyte")]
pub struct TooLarge;

/// The most bytes that an event may have.
const LIMIT: usize = 1024 * 1024;

/// Turns bytes into events. Comments, `id` and `retry` are passed over; bytes that are no UTF-8 become U+FFFD.
#[derive(Default)]
pub struct Parser {
    /// The beginning of a line of which the end has not come.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The first line is over: no byte order mark can come any more.
    begun: bool,
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser").field("data_bytes", &self.data.len()).finish_non_exhaustive()
    }
}

impl Parser {
    /// Takes the next bytes; `on_event` gets every event that they complete.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if an event grows over the limit. The parser is of no use then.
    pub fn feed(&mut self, mut bytes: &[u8], mut on_event: impl FnMut(Event<'_>)) -> Result<(), TooLarge> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                return self.check();
            };
            let (line, rest) = bytes.split_at(end);
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.end_line(line, &mut on_event);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.end_line(&whole, &mut on_event);
                whole.clear();
                self.line = whole;
            }
            self.check()?;
        }
        Ok(())
    }

    /// The stream is over. Many servers leave the last empty line out, so what has come of an event is one.
    pub fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, &mut on_event);
        }
        self.end_line(b"", &mut on_event);
    }

    fn check(&self) -> Result<(), TooLarge> {
        let held = self.line.len().saturating_add(self.data.len()).saturating_add(self.name.len());
        if held > LIMIT { Err(TooLarge) } else { Ok(()) }
    }

    fn end_line(&mut self, mut line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                let (name, data) = (String::from_utf8_lossy(&self.name), String::from_utf8_lossy(&self.data));
                on_event(Event { name: &name, data: &data });
            }
            self.name.clear();
            self.data.clear();
            return;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        let mut keep = |event: Event<'_>| events.push((event.name.to_owned(), event.data.to_owned()));
        for piece in pieces {
            parser.feed(piece, &mut keep).unwrap();
        }
        parser.finish(&mut keep);
        events
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn fields_comments_and_line_ends_are_read_as_the_standard_says() {
        let text =
            b"\xEF\xBB\xBFdata: one\r\n\r\n: comment\ndata:two\ndata:  lines\nid: 7\nretry: 10\n\nevent: ping\n\n\
            event: a\rdata\rdata: x\r\r\nunknown: y\ndata: last";
        assert_eq!(
            parse([&text[..]]),
            [event("", "one"), event("", "two\n lines"), event("a", "\nx"), event("", "last")]
        );
        assert_eq!(parse([&b""[..]]), []);
        assert_eq!(parse([&b"\n\n\r\r\n"[..]]), []);
        assert_eq!(parse([&b"data: \xFF!\n\n"[..]]), [event("", "\u{FFFD}!")]);
    }

    #[test]
    fn an_event_that_never_ends_is_given_up() {
        let piece = vec![b'x'; 64 * 1024];
        for lines in [false, true] {
            let mut parser = Parser::default();
            let mut fed = 0;
            let outcome = loop {
                if lines {
                    parser.feed(b"\ndata:", |_| {}).unwrap();
                }
                fed += piece.len();
                if let Err(error) = parser.feed(&piece, |_| {}) {
                    break error;
                }
                assert!(fed < 2 * LIMIT, "no limit");
            };
            assert_eq!(outcome, TooLarge);
            assert!(fed >= LIMIT);
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_events(
            lines in prop::collection::vec("(data: ?[a-zé€😀 :]{0,6}|event: [ab]|:[a-z]|[a-z]{0,3})?", 0..12),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r", "\r\n"]), 12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text: String = lines.iter().zip(&ends).map(|(line, end)| format!("{line}{end}")).collect();
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            prop_assert_eq!(parse(pieces), parse([bytes]));
            prop_assert_eq!(parse(bytes.chunks(1)), parse([bytes]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse([&bytes[..]]);
        }
    }
}
