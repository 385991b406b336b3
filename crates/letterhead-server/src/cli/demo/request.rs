//! The requests of the demo: each is sent, or shown as the `curl` line that sends it.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A request to the demo's server.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: &'static str,
}

/// The chat of the personal assistant, and its session.
pub(super) const SESSION: &str = "conv-123";

/// A question to the personal assistant, with everything that it needs to know.
pub(super) fn personal() -> Request {
    Request {
        path: "/api/chat",
        headers: vec![
            ("Authorization", "Bearer $INKEEP_API_KEY"),
            ("user_id", "u_123"),
            ("auth_token", "t_abc"),
            ("org_name", "Acme Corp"),
            ("Content-Type", "application/json"),
        ],
        body: r#"{
    "messages": [ { "role": "user", "content": "What can you help me with?" } ],
    "conversationId": "conv-123"
  }"#,
    }
}

/// The next question of the same conversation, without a word about who asks.
pub(super) fn personal_again() -> Request {
    Request {
        path: "/api/chat",
        headers: vec![("Content-Type", "application/json")],
        body: r#"{
    "messages": [ { "role": "user", "content": "And who am I?" } ],
    "conversationId": "conv-123"
  }"#,
    }
}

/// A question to the orchestrator, in a session that the path names.
pub(super) fn orchestrator_by_path() -> Request {
    orchestrator("/api/v1/chat/completions/sess-456", &[])
}

/// The same, in a session that a header names.
pub(super) fn orchestrator_by_header() -> Request {
    orchestrator("/api/v1/chat/completions", &[("X-Session-Id", "sess-456")])
}

fn orchestrator(path: &'static str, session: &[(&'static str, &'static str)]) -> Request {
    let mut headers = vec![("Content-Type", "application/json"), ("X-User-Id", "user-123")];
    headers.extend_from_slice(session);
    headers
        .extend([("X-Agent-Schema", "orchestrator-agent"), ("X-Model-Name", "anthropic:claude-sonnet-4-5-20250929")]);
    Request {
        path,
        headers,
        body: r#"{
    "messages": [{"role": "user", "content": "Research neural networks"}],
    "stream": true
  }"#,
    }
}

impl Request {
    /// Adds headers, before the one that only describes the body.
    pub(super) fn with(mut self, more: &[(&'static str, &'static str)]) -> Self {
        let at = self.headers.len().saturating_sub(1);
        self.headers.splice(at..at, more.iter().copied());
        self
    }

    /// The headers, as they are sent.
    pub(super) fn header_map(&self) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_static(value)))
        };
        self.headers.iter().filter_map(header).collect()
    }

    /// The `curl` line. The values of headers that `hide` picks are not in it.
    pub(super) fn curl(&self, base: &str, hide: impl Fn(&str) -> bool) -> String {
        let mut line = format!("curl -N -X POST \"{base}{}\" \\\n", self.path);
        for (name, value) in &self.headers {
            let value = if hide(name) { "********" } else { value };
            line.push_str(&format!("  -H \"{name}: {value}\" \\\n"));
        }
        line.push_str(&format!("  -d '{}'", self.body));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_sent() {
        for request in [personal(), personal_again(), orchestrator_by_path(), orchestrator_by_header()] {
            assert_eq!(request.header_map().len(), request.headers.len(), "each name once, and each can be sent");
            serde_json::from_str::<serde_json::Value>(request.body).unwrap();
            let curl = request.curl("http://127.0.0.1:1", |_| false);
            assert!(request.headers.iter().all(|(name, value)| curl.contains(&format!("\"{name}: {value}\""))));
        }
    }

    #[test]
    fn hidden_values_are_not_shown() {
        let curl = personal().with(&[("X-Debug", "on")]).curl("http://127.0.0.1:1", |name| name == "auth_token");
        insta::assert_snapshot!(curl, @r#"
        curl -N -X POST "http://127.0.0.1:1/api/chat" \
          -H "Authorization: Bearer $INKEEP_API_KEY" \
          -H "user_id: u_123" \
          -H "auth_token: ********" \
          -H "org_name: Acme Corp" \
          -H "X-Debug: on" \
          -H "Content-Type: application/json" \
          -d '{
            "messages": [ { "role": "user", "content": "What can you help me with?" } ],
            "conversationId": "conv-123"
          }'
        "#);
    }
}
