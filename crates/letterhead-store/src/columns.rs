//! What databases keep as JSON in a column.
//!
//! What every turn writes is written as lists of values, not as objects: half as long, and read by the same types.

mod trail;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use self::trail::{stops, trail};
use crate::{ChildRun, NewMessage, Role, Status, StoreError, StoredHeader, Usage};

/// A header as it stands in the column `headers`: as a list of these, or, in older rows, as an object.
#[derive(Deserialize)]
struct HeaderRow {
    field: Arc<str>,
    value: serde_json::Value,
    sent_at: i64,
}

/// The column `headers` for these, none of which is a secret.
pub(crate) fn header_rows(headers: &[StoredHeader]) -> Result<Option<String>, StoreError> {
    let shown = headers.iter().filter(|header| !header.secret);
    let rows: Vec<_> = shown.map(|header| (&*header.field, &header.value, header.sent_at_ms)).collect();
    if rows.is_empty() { Ok(None) } else { to_json(&rows).map(Some) }
}

/// The headers in the column `headers`.
pub(crate) fn headers(column: Option<&str>) -> Result<Vec<StoredHeader>, StoreError> {
    let Some(json) = column else { return Ok(Vec::new()) };
    let header =
        |HeaderRow { field, value, sent_at }| StoredHeader { field, value, secret: false, sent_at_ms: sent_at };
    Ok(from_json::<Vec<HeaderRow>>(json, "the headers of a session")?.into_iter().map(header).collect())
}

/// The column `usage` for this: its numbers in their order. Older rows have an object.
pub(crate) fn usage(usage: Option<&Usage>) -> Result<Option<String>, StoreError> {
    let Some(usage) = usage else { return Ok(None) };
    let Usage { input_tokens, output_tokens, cached_input_tokens, reasoning_tokens } = usage;
    to_json(&(input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)).map(Some)
}

/// A child's run as it stands in the column `children`.
#[derive(Serialize, Deserialize)]
struct ChildRow<'a> {
    agent: Arc<str>,
    call_id: Arc<str>,
    status: Status,
    usage: Usage,
    #[serde(borrow)]
    messages: Vec<MessageRow<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    children: Vec<ChildRow<'a>>,
}

/// A message of a child.
#[derive(Serialize, Deserialize)]
struct MessageRow<'a> {
    id: Arc<str>,
    role: Role,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(borrow)]
    body: Cow<'a, str>,
}

impl<'a> ChildRow<'a> {
    fn of(child: &'a ChildRun) -> Self {
        let message = |message: &'a NewMessage| MessageRow {
            id: message.id.clone(),
            role: message.role,
            status: message.status,
            agent: message.agent.clone(),
            usage: message.usage,
            body: Cow::Borrowed(&message.body),
        };
        Self {
            agent: child.agent.clone(),
            call_id: child.call_id.clone(),
            status: child.status,
            usage: child.usage,
            messages: child.messages.iter().map(message).collect(),
            children: child.children.iter().map(Self::of).collect(),
        }
    }

    fn into_child(self) -> ChildRun {
        let message = |MessageRow { id, role, status, agent, usage, body }| NewMessage {
            status,
            agent,
            usage,
            ..NewMessage::new(id, role, body)
        };
        let Self { agent, call_id, status, usage, messages, children } = self;
        let messages = messages.into_iter().map(message).collect();
        ChildRun {
            agent,
            call_id,
            status,
            usage,
            messages,
            children: children.into_iter().map(Self::into_child).collect(),
        }
    }
}

/// The column `children` for these.
pub(crate) fn child_rows(children: &[ChildRun]) -> Result<Option<String>, StoreError> {
    if children.is_empty() {
        return Ok(None);
    }
    to_json(&children.iter().map(ChildRow::of).collect::<Vec<_>>()).map(Some)
}

/// The runs in the column `children`.
pub(crate) fn children(column: Option<&str>) -> Result<Vec<ChildRun>, StoreError> {
    let Some(json) = column else { return Ok(Vec::new()) };
    let rows: Vec<ChildRow<'_>> = from_json(json, "the agents that a turn has asked")?;
    Ok(rows.into_iter().map(ChildRow::into_child).collect())
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Invalid { reason: "it cannot be written as JSON" })
}

/// What a column holds; `what` says it for the error.
pub(crate) fn from_json<'a, T: Deserialize<'a>>(json: &'a str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Corrupt { what })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_as_a_list_is_read_as_one_and_as_the_object_it_was() {
        let spent = Usage { input_tokens: 64, output_tokens: 20, cached_input_tokens: 3, reasoning_tokens: u64::MAX };
        let column = usage(Some(&spent)).unwrap().unwrap();
        assert_eq!(column, "[64,20,3,18446744073709551615]");
        for column in [column, to_json(&spent).unwrap()] {
            assert_eq!(from_json::<Usage>(&column, "usage").unwrap(), spent);
        }
        assert_eq!(usage(None).unwrap(), None);

        let header = |field: &str, secret| {
            let value = json!({"a": ["b", 1, null]});
            StoredHeader { field: field.into(), value, secret, sent_at_ms: 7 }
        };
        let column = header_rows(&[header("plan", false), header("token", true)]).unwrap().unwrap();
        assert_eq!(column, r#"[["plan",{"a":["b",1,null]},7]]"#);
        let before = r#"[{"field":"plan","value":{"a":["b",1,null]},"sent_at":7}]"#;
        for column in [&*column, before] {
            assert_eq!(headers(Some(column)).unwrap(), [header("plan", false)]);
        }
    }
}
