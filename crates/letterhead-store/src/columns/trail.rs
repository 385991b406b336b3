//! The column `trail`: a list of stops, each an agent, a destination with its kind, and what passed there.
//!
//! It is by far the largest thing that is written of most turns. What entries have in common is written once, and of an
//! entry only its values, in their order: a third of what the entries take as objects, so that a turn has room in its page.

use std::borrow::Cow;
use std::sync::Arc;

use letterhead_context::{DestinationKind, Layer, RequestPart, TrailEntry};
use serde::{Deserialize, Serialize};

use super::{from_json, to_json};
use crate::StoreError;

/// Entries that follow one another and have these three in common.
type Stop<Name, Reason> = (Name, Name, DestinationKind, Vec<(Name, Name, Layer, Fate<Reason>)>);

/// What became of a header.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Fate<Reason> {
    /// Whether it was sent; there is nothing else to say.
    Plain(bool),
    /// It was left out, for this reason.
    LeftOut(Reason),
    /// Anything else.
    Told { sent: bool, part: Option<RequestPart>, reason: Option<Reason> },
}

impl<Reason> Fate<Reason> {
    fn of(sent: bool, part: Option<RequestPart>, reason: Option<Reason>) -> Self {
        match (sent, part, reason) {
            (sent, None, None) => Self::Plain(sent),
            (false, None, Some(reason)) => Self::LeftOut(reason),
            (sent, part, reason) => Self::Told { sent, part, reason },
        }
    }

    fn told(self) -> (bool, Option<RequestPart>, Option<Reason>) {
        match self {
            Self::Plain(sent) => (sent, None, None),
            Self::LeftOut(reason) => (false, None, Some(reason)),
            Self::Told { sent, part, reason } => (sent, part, reason),
        }
    }
}

/// The column for these entries. None where no header went anywhere.
pub(crate) fn stops(entries: &[TrailEntry]) -> Result<Option<String>, StoreError> {
    if entries.is_empty() {
        return Ok(None);
    }
    let at_one =
        |a: &TrailEntry, b: &TrailEntry| (&a.agent, &a.destination, a.kind) == (&b.agent, &b.destination, b.kind);
    let stops = entries.chunk_by(at_one).filter_map(stop);
    to_json(&stops.collect::<Vec<_>>()).map(Some)
}

fn stop(entries: &[TrailEntry]) -> Option<Stop<&str, &str>> {
    let first = entries.first()?;
    let passed = entries.iter().map(|entry| {
        let TrailEntry { agent: _, destination: _, kind: _, header, from, part, layer, sent, reason } = entry;
        (&**header, &**from, *layer, Fate::of(*sent, *part, reason.as_deref()))
    });
    Some((&*first.agent, &*first.destination, first.kind, passed.collect()))
}

/// The entries in the column, in today's form or in the one before it: objects, each with all that it has.
pub(crate) fn trail(column: &str) -> Result<Vec<TrailEntry>, StoreError> {
    const WHAT: &str = "a trail";
    if column.starts_with("[{") {
        return from_json(column, WHAT);
    }
    let stops: Vec<Stop<Arc<str>, Cow<'static, str>>> = from_json(column, WHAT)?;
    let mut entries = Vec::new();
    for (agent, destination, kind, passed) in stops {
        entries.extend(passed.into_iter().map(|(header, from, layer, fate)| {
            let (sent, part, reason) = fate.told();
            let (agent, destination) = (agent.clone(), destination.clone());
            TrailEntry { agent, destination, kind, header, from, part, layer, sent, reason }
        }));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(destination: &str, header: &str, sent: bool) -> TrailEntry {
        TrailEntry {
            agent: "assistant".into(),
            destination: destination.into(),
            kind: DestinationKind::Llm,
            header: header.into(),
            from: format!("headers.{header}").into(),
            part: None,
            layer: Layer::Agent,
            sent,
            reason: None,
        }
    }

    #[test]
    fn entries_come_back_as_they_were_and_in_their_order() {
        let mut entries = vec![TrailEntry { agent: "other \"one\"".into(), ..entry("a", "h", true) }];
        for destination in ["a", "b", "a"] {
            for sent in [true, false] {
                for part in [None, Some(RequestPart::Url)] {
                    for reason in [None, Some("it \"was\" not".into())] {
                        entries.push(TrailEntry { part, reason, ..entry(destination, "h", sent) });
                    }
                }
            }
        }
        entries.push(TrailEntry { kind: DestinationKind::Tool, ..entry("a", "h", true) });
        let column = stops(&entries).unwrap().unwrap();
        assert_eq!(trail(&column).unwrap(), entries);
        assert_eq!(stops(&[]).unwrap(), None);
    }

    #[test]
    fn what_entries_have_in_common_is_written_once() {
        let entries = [entry("providers.mock", "X-Org", true), entry("providers.mock", "X-Plan", false)];
        let column = stops(&entries).unwrap().unwrap();
        let expected = r#"[["assistant","providers.mock","llm",[["X-Org","headers.X-Org","agent",true],["X-Plan","headers.X-Plan","agent",false]]]]"#;
        assert_eq!(column, expected);
    }

    #[test]
    fn the_form_before_is_read_and_what_is_neither_is_corrupt() {
        let entries =
            vec![entry("a", "X-Org", true), TrailEntry { reason: Some("no".into()), ..entry("b", "h", false) }];
        assert_eq!(trail(&to_json(&entries).unwrap()).unwrap(), entries);
        for wrong in ["", "[", "{}", "[1]", r#"[["a","b","llm",[["h"]]]]"#, r#"[["a","b","moon",[]]]"#, "[{}]"] {
            assert_eq!(trail(wrong).err(), Some(StoreError::Corrupt { what: "a trail" }), "{wrong}");
        }
    }
}
