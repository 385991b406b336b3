//! The trail of a session, read from a server and shown as a table.

use http::HeaderMap;
use serde::Deserialize;

use super::client::{Client, Failure};
use super::columns::table;
use super::paint::Paint;

/// One header and one destination in one turn, as `GET …/trail` lists them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) turn: u64,
    pub(super) agent: String,
    pub(super) destination: String,
    pub(super) header: String,
    pub(super) from: String,
    pub(super) layer: String,
    pub(super) sent: bool,
    #[serde(default)]
    pub(super) reason: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Row>,
    has_more: bool,
}

/// Reads the whole trail of a session, oldest turn first.
pub(super) async fn read(client: &Client, session: &str, headers: &HeaderMap) -> Result<Vec<Row>, Failure> {
    let path = format!("/api/v1/sessions/{session}/trail");
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.turn.to_string());
        let mut query = vec![("limit", "500")];
        query.extend(after.as_deref().map(|turn| ("after", turn)));
        let listed = client.get(&path, &query, headers).await?;
        let listed: Listed = serde_json::from_value(listed)
            .map_err(|_| Failure::new("the server's trail is not as this version reads it"))?;
        let more = listed.has_more && !listed.data.is_empty();
        rows.extend(listed.data);
        if !more {
            return Ok(rows);
        }
    }
}

/// The rows that went out, as a table; with the agents where there are several.
pub(super) fn sent(rows: &[Row], paint: Paint) -> String {
    let sent = || rows.iter().filter(|row| row.sent);
    let cells = |row: &Row| {
        [row.turn.to_string(), row.header.clone(), row.destination.clone(), row.from.clone(), row.layer.clone()]
    };
    if rows.iter().all(|row| rows.first().is_some_and(|first| first.agent == row.agent)) {
        return table(["turn", "header", "destination", "from", "layer"], sent().map(cells), paint);
    }
    let with_agent = |row: &Row| {
        let [turn, header, destination, from, layer] = cells(row);
        [turn, row.agent.clone(), header, destination, from, layer]
    };
    table(["turn", "agent", "header", "destination", "from", "layer"], sent().map(with_agent), paint)
}

/// The rows that stayed, as they stand in a table of what stayed behind: turn, header, where it would have gone, why.
pub(super) fn stayed(rows: &[Row]) -> impl Iterator<Item = [String; 4]> {
    rows.iter().filter(|row| !row.sent).map(|row| {
        let reason = row.reason.as_deref().unwrap_or("no reason was noted");
        let why = match row.layer.as_str() {
            layer @ ("provider" | "agent" | "runtime") => format!("the {layer} layer's value: {reason}"),
            _ => reason.to_owned(),
        };
        [row.turn.to_string(), row.header.clone(), row.destination.clone(), why]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(header: &str, sent: bool) -> Row {
        Row {
            turn: 1,
            agent: "assistant".to_owned(),
            destination: "providers.openai".to_owned(),
            header: header.to_owned(),
            from: "literal".to_owned(),
            layer: "agent".to_owned(),
            sent,
            reason: (!sent).then(|| "overridden by a later layer".to_owned()),
        }
    }

    #[test]
    fn several_agents_are_told_apart() {
        let mut rows = [row("X-Agent-ID", true), row("X-Agent-ID", true)];
        rows[1].agent = "billing".to_owned();
        insta::assert_snapshot!(sent(&rows, Paint::plain()), @r"
        turn  agent      header      destination       from     layer
        1     assistant  X-Agent-ID  providers.openai  literal  agent
        1     billing    X-Agent-ID  providers.openai  literal  agent
        ");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [row("X-Environment", true), row("日本", true), row("X-Agent-ID", false)];
        insta::assert_snapshot!(sent(&rows, Paint::plain()), @r"
        turn  header         destination       from     layer
        1     X-Environment  providers.openai  literal  agent
        1     日本           providers.openai  literal  agent
        ");
        let stayed: Vec<_> = stayed(&rows).collect();
        assert_eq!(
            stayed,
            [["1", "X-Agent-ID", "providers.openai", "the agent layer's value: overridden by a later layer"]]
        );
    }
}
