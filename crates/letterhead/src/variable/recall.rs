//! Recognises a request by what it is made of, so that it need not be made to see that it would be the same again.
//!
//! A request is a function of what its templates read. Where all of that is as it was when the request was last made, its
//! fingerprint is the same too: it is looked up by a keyed hash of what is read, and nothing is rendered, parsed or signed.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};

use letterhead_context::{Read, RequestContext, Secret, SessionId, UserId};
use letterhead_store::Fingerprint;
use lru::LruCache;

/// How many requests are remembered: about a megabyte.
const ROOM: usize = 8192;

/// A hash under a key of this process: nobody outside can look for two inputs of the same one. Where two have it by
/// chance, one has the other's fingerprint, which no value of its session was kept under: it is fetched again.
type Digest = u64;

/// The fingerprints of requests that were made in this process, by what they were made of.
pub(crate) struct Recall {
    key: RandomState,
    known: Mutex<LruCache<Digest, Fingerprint>>,
}

/// What decides a variable's request.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    headers: Vec<Box<str>>,
    credentials: Vec<Box<str>>,
    session: bool,
}

impl Inputs {
    /// None where something decides it that changes from turn to turn, or takes more work to compare than to render.
    pub(super) fn of<'a>(reads: impl IntoIterator<Item = &'a Read>) -> Option<Self> {
        let mut inputs = Self::default();
        for read in reads {
            match read {
                Read::Header { name, .. } => inputs.headers.push((&**name).into()),
                Read::Root(path) => match path.split_once('.') {
                    // The caller is always a part; the environment was read once.
                    Some(("caller" | "env", _)) => {}
                    Some(("credentials", name)) => inputs.credentials.push(name.into()),
                    Some(("session", "id")) => inputs.session = true,
                    _ => return None,
                },
                _ => return None,
            }
        }
        Some(inputs)
    }
}

impl Default for Recall {
    fn default() -> Self {
        Self { key: RandomState::new(), known: Mutex::new(LruCache::unbounded()) }
    }
}

impl Recall {
    /// Stands for what the request of this variable would be made of.
    pub(super) fn digest(&self, variable: &str, inputs: &Inputs, context: &RequestContext) -> Digest {
        let mut hasher = self.key.build_hasher();
        variable.hash(&mut hasher);
        let caller = context.caller();
        (caller.tenant().as_str(), caller.user().map(UserId::as_str), caller.source().as_str()).hash(&mut hasher);
        for name in &inputs.headers {
            context.headers().get(name).hash(&mut hasher);
            context.headers().secret(name).map(Secret::reveal).hash(&mut hasher);
        }
        for name in &inputs.credentials {
            context.credentials().get(name).map(Secret::reveal).hash(&mut hasher);
        }
        if inputs.session {
            context.session().map(SessionId::as_str).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The fingerprint of the request that was made of this.
    pub(super) fn fingerprint(&self, digest: Digest) -> Option<Fingerprint> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).copied()
    }

    /// Remembers a request that was made of this.
    pub(super) fn remember(&self, digest: Digest, fingerprint: Fingerprint) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(digest, fingerprint);
        if known.len() > ROOM {
            known.pop_lru();
        }
    }
}

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recall(…)")
    }
}

#[cfg(test)]
mod tests {
    use letterhead_context::{Caller, Credentials, HeaderSchema, RequestContext, Scope, Secret, Sent, Sink, Template};
    use serde_json::json;

    use super::*;

    fn schema() -> HeaderSchema {
        HeaderSchema::compile(&json!({ "properties": {
            "user_id": {}, "org": {}, "auth_token": { "writeOnly": true },
        } }))
        .unwrap()
    }

    fn context(headers: &[(&str, &str)], crm: &str) -> RequestContext {
        let schema = schema();
        let values: Vec<_> = headers.iter().map(|(name, value)| (*name, json!(value))).collect();
        let stored = values.iter().map(|(name, value)| (*name, value));
        let headers = schema.merge(stored, &Sent::nothing(), &[]).unwrap();
        let credentials: Credentials = [("crm", Secret::new(crm.into()))].into_iter().collect();
        RequestContext::builder(Caller::anonymous(), headers).credentials(credentials).build("assistant")
    }

    fn inputs(template: &str) -> Option<Inputs> {
        let (schema, credentials) = (schema(), ["crm".to_owned()]);
        let scope = Scope { credentials: &credentials, ..Scope::of(&schema) };
        Inputs::of(Template::compile(template, Sink::Header, scope).unwrap().reads())
    }

    #[test]
    fn whatever_is_read_decides_and_nothing_else() {
        let recall = Recall::default();
        let inputs = inputs("{{ headers.user_id }} {{ headers.auth_token }} {{ credentials.crm }}").unwrap();
        let of = |headers: &[(&str, &str)], crm| recall.digest("user", &inputs, &context(headers, crm));
        let base = [("user_id", "u"), ("auth_token", "t"), ("org", "o")];
        let digest = of(&base, "c");
        assert_eq!(digest, of(&[("user_id", "u"), ("auth_token", "t"), ("org", "other")], "c"));
        for (headers, crm) in [
            ([("user_id", "v"), ("auth_token", "t"), ("org", "o")], "c"),
            ([("user_id", "u"), ("auth_token", "s"), ("org", "o")], "c"),
            ([("user_id", "t"), ("auth_token", "u"), ("org", "o")], "c"),
            (base, "d"),
        ] {
            assert_ne!(digest, of(&headers, crm));
        }
        assert_ne!(digest, of(&[("user_id", "u")], "c"), "a header that is missing is another input");
        assert_ne!(digest, recall.digest("team", &inputs, &context(&base, "c")), "another variable is another request");
        assert_ne!(
            digest,
            Recall::default().digest("user", &inputs, &context(&base, "c")),
            "the keys are the process's"
        );
    }

    #[test]
    fn what_changes_by_itself_is_not_compared() {
        assert!(inputs("{{ request.id }}").is_none());
        assert!(inputs("{{ claims.org }}").is_none());
        assert!(inputs("{{ caller.user_id }} {{ session.id }}").is_some());
    }
}
