//! The messages of the protocol: JSON-RPC 2.0, and what each revision puts around it.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

/// The revision whose requests stand alone.
pub(super) const STANDALONE: &str = "2026-07-28";

/// The revisions that open with `initialize`, newest first. The first is asked for.
pub(super) const HANDSHAKE: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");
pub(super) const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// How a server is spoken to.
#[derive(Clone, Debug)]
pub(super) enum Manner {
    /// 2026-07-28: every request says all about itself.
    Standalone,
    /// Before: opened by `initialize`, with the version that was agreed on and the session, if the server keeps one.
    Handshake { version: &'static str, session: Option<HeaderValue> },
    /// `initialize` itself.
    Opening,
}

/// A request or a notification, before it is put into a manner's words.
pub(super) struct Message<'a> {
    /// None for a notification.
    pub(super) id: Option<u64>,
    pub(super) method: &'static str,
    pub(super) params: Map<String, Value>,
    /// The tool that is called.
    pub(super) name: Option<&'a str>,
}

/// Who asks.
pub(super) fn client_info() -> Value {
    json!({ "name": "letterhead", "version": env!("CARGO_PKG_VERSION") })
}

impl Message<'_> {
    /// The body.
    pub(super) fn body(&self, manner: &Manner) -> String {
        let mut params = self.params.clone();
        if matches!(manner, Manner::Standalone) {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": STANDALONE,
                "io.modelcontextprotocol/clientInfo": client_info(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            params.insert("_meta".to_owned(), meta);
        }
        let mut message = Map::new();
        message.insert("jsonrpc".to_owned(), "2.0".into());
        if let Some(id) = self.id {
            message.insert("id".to_owned(), id.into());
        }
        message.insert("method".to_owned(), self.method.into());
        if !params.is_empty() {
            message.insert("params".to_owned(), params.into());
        }
        Value::Object(message).to_string()
    }

    /// Adds the protocol's own headers to those of the configuration, which names none of them.
    pub(super) fn add_headers(&self, manner: &Manner, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        match manner {
            Manner::Opening => {}
            Manner::Handshake { version, session } => {
                headers.insert(VERSION_HEADER, HeaderValue::from_static(version));
                if let Some(session) = session {
                    headers.insert(SESSION_HEADER, session.clone());
                }
            }
            Manner::Standalone => {
                headers.insert(VERSION_HEADER, HeaderValue::from_static(STANDALONE));
                headers.insert(METHOD_HEADER, HeaderValue::from_static(self.method));
                // Names of tools are checked when they are listed: each can stand in a header as it is.
                if let Some(name) = self.name.and_then(|name| HeaderValue::from_str(name).ok()) {
                    headers.insert(NAME_HEADER, name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(method: &'static str, name: Option<&'static str>) -> Message<'static> {
        Message { id: Some(7), method, params: Map::new(), name }
    }

    #[test]
    fn a_standalone_request_says_all_about_itself() {
        let call = message("tools/call", Some("add"));
        let body: Value = serde_json::from_str(&call.body(&Manner::Standalone)).unwrap();
        assert_eq!(body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], STANDALONE);
        assert_eq!(body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"], json!({}));
        let mut headers = HeaderMap::new();
        call.add_headers(&Manner::Standalone, &mut headers);
        for (name, value) in [("mcp-protocol-version", STANDALONE), ("mcp-method", "tools/call"), ("mcp-name", "add")] {
            assert_eq!(headers[name], value);
        }
        assert!(!headers.contains_key("mcp-session-id"));
    }

    #[test]
    fn an_older_request_carries_its_version_and_session() {
        let manner = Manner::Handshake { version: "2025-06-18", session: Some(HeaderValue::from_static("s_1")) };
        let list = message("tools/list", None);
        assert_eq!(list.body(&manner), r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#);
        let mut headers = HeaderMap::new();
        list.add_headers(&manner, &mut headers);
        assert_eq!(
            (&headers["mcp-protocol-version"], &headers["mcp-session-id"]),
            (&"2025-06-18".parse().unwrap(), &"s_1".parse().unwrap())
        );
        assert!(!headers.contains_key("mcp-method"));
        let mut headers = HeaderMap::new();
        list.add_headers(&Manner::Opening, &mut headers);
        assert!(!headers.contains_key("mcp-protocol-version"));
    }
}
