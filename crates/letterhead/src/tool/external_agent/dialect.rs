//! The two versions of the protocol that are spoken, as far as requests differ. What comes back is read alike
//! ([`reading`](super::reading)).

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The header that says which version a request is in.
pub(super) const VERSION_HEADER: HeaderName = HeaderName::from_static("a2a-version");

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 1.0.
    One,
    /// 0.3.
    Zero3,
}

/// What is asked of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Send,
    Stream,
    Get,
    Cancel,
}

impl Version {
    /// The version that a card calls so, if it is spoken here.
    pub(super) fn named(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.');
        match (parts.next(), parts.next()) {
            (Some("1"), _) => Some(Self::One),
            (Some("0"), Some("3")) => Some(Self::Zero3),
            _ => None,
        }
    }

    /// The value of the version's header.
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::One => "1.0",
            Self::Zero3 => "0.3",
        })
    }

    /// The name of a method.
    pub(super) fn method(self, method: Method) -> &'static str {
        match (self, method) {
            (Self::One, Method::Send) => "SendMessage",
            (Self::One, Method::Stream) => "SendStreamingMessage",
            (Self::One, Method::Get) => "GetTask",
            (Self::One, Method::Cancel) => "CancelTask",
            (Self::Zero3, Method::Send) => "message/send",
            (Self::Zero3, Method::Stream) => "message/stream",
            (Self::Zero3, Method::Get) => "tasks/get",
            (Self::Zero3, Method::Cancel) => "tasks/cancel",
        }
    }

    /// A question: one message of the user's, in a conversation of its own.
    pub(super) fn question(self, text: &str) -> Map<String, Value> {
        let id = Uuid::new_v4().to_string();
        let params = match self {
            // A question blocks unless it says otherwise.
            Self::One => json!({
                "message": { "messageId": id, "role": "ROLE_USER", "parts": [{ "text": text }] },
            }),
            Self::Zero3 => json!({
                "message": {
                    "kind": "message", "messageId": id, "role": "user", "parts": [{ "kind": "text", "text": text }],
                },
                "configuration": { "blocking": true },
            }),
        };
        if let Value::Object(params) = params { params } else { Map::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_first_numbers() {
        for (text, version) in [
            ("1.0", Some(Version::One)),
            ("1", Some(Version::One)),
            (" 1.1.2 ", Some(Version::One)),
            ("0.3.0", Some(Version::Zero3)),
            ("0.3", Some(Version::Zero3)),
            ("0.2.5", None),
            ("0.30", None),
            ("10.0", None),
            ("2.0", None),
            ("", None),
        ] {
            assert_eq!(Version::named(text), version, "{text:?}");
        }
    }

    #[test]
    fn a_question_is_one_message_in_either_versions_words() {
        let [one, older] = [Version::One, Version::Zero3].map(|version| Value::from(version.question("Hello")));
        assert_eq!(one["message"]["parts"], json!([{ "text": "Hello" }]));
        assert_eq!((&one["message"]["role"], &older["message"]["role"]), (&json!("ROLE_USER"), &json!("user")));
        assert_eq!(older["message"]["parts"], json!([{ "kind": "text", "text": "Hello" }]));
        assert_eq!(older["configuration"]["blocking"], true);
        assert_ne!(one["message"]["messageId"], older["message"]["messageId"]);
        for params in [&one, &older] {
            assert!(params["message"].get("contextId").is_none(), "each question stands alone");
        }
    }
}
