//! Kept answers in memory, as many as there is room for.

use std::collections::HashMap;
use std::sync::Arc;

use lru::LruCache;

use crate::claims::Answered;
use crate::clock::millis;
use crate::idempotency::ANSWERS_KEPT;
use crate::{IdempotencyKey, KeptAnswer, SessionKey};

/// The most bytes of answers that are kept; the oldest go first.
const MAX_BYTES: usize = 8 << 20;

pub(super) struct Answers {
    /// In the order of their coming, since nothing here is moved by being looked at.
    answers: LruCache<IdempotencyKey, Given>,
    bytes: usize,
    /// Those that are there as long as their session, whatever else comes. They take less room than the messages beside
    /// them, and go with those.
    lasting: HashMap<IdempotencyKey, Given>,
}

struct Given {
    request: [u8; 32],
    body: Arc<[u8]>,
    at_ms: i64,
    /// Whose turn it was.
    session: Option<SessionKey>,
    weight: usize,
}

impl Default for Answers {
    fn default() -> Self {
        Self { answers: LruCache::unbounded(), bytes: 0, lasting: HashMap::new() }
    }
}

impl Answers {
    pub(super) fn keep(&mut self, answer: KeptAnswer, session: Option<&SessionKey>, now_ms: i64) {
        let KeptAnswer { key, request, body, .. } = answer;
        self.remove(&key);
        let weight = 256 + 2 * key.weight() + session.map_or(0, SessionKey::weight) + body.len();
        self.bytes += weight;
        self.answers.push(key, Given { request, body, at_ms: now_ms, session: session.cloned(), weight });
        while self.bytes > MAX_BYTES || self.answers.peek_lru().is_some_and(|(_, oldest)| oldest.is_over(now_ms)) {
            let Some((_, oldest)) = self.answers.pop_lru() else { break };
            self.bytes -= oldest.weight;
        }
    }

    /// Keeps an answer until its session is gone, which is there now.
    pub(super) fn keep_with(&mut self, answer: KeptAnswer, session: SessionKey) {
        let KeptAnswer { key, request, body, .. } = answer;
        self.lasting.insert(key, Given { request, body, at_ms: i64::MAX, session: Some(session), weight: 0 });
    }

    pub(super) fn find(&self, key: &IdempotencyKey, now_ms: i64) -> Option<Answered> {
        let given = self.lasting.get(key).or_else(|| self.answers.peek(key).filter(|given| !given.is_over(now_ms)))?;
        Some(Answered { request: given.request, body: given.body.clone() })
    }

    /// Forgets the answers of a session's turns.
    pub(super) fn remove_of(&mut self, session: &SessionKey) {
        let of_session = |given: &Given| given.session.as_ref() == Some(session);
        let keys: Vec<_> =
            self.answers.iter().filter(|(_, given)| of_session(given)).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.remove(key));
        self.lasting.retain(|_, given| !of_session(given));
    }

    fn remove(&mut self, key: &IdempotencyKey) {
        if let Some(given) = self.answers.pop(key) {
            self.bytes -= given.weight;
        }
    }
}

impl Given {
    fn is_over(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.at_ms) >= millis(ANSWERS_KEPT)
    }
}

#[cfg(test)]
mod tests {
    use letterhead_context::{SessionId, TenantId};

    use super::*;

    fn session(id: &str) -> SessionKey {
        SessionKey { tenant: TenantId::default(), user: None, id: SessionId::parse(id).unwrap() }
    }

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey { owner: session("s").owner(), session: None, key: text.into() }
    }

    fn answer(text: &str, bytes: usize) -> KeptAnswer {
        KeptAnswer {
            key: key(text),
            request: [1; 32],
            lease: uuid::Uuid::nil(),
            body: vec![0; bytes].into(),
            session: None,
        }
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_all_when_their_day_is_over() {
        let mut answers = Answers::default();
        for (text, at_ms) in [("a", 0), ("b", 1), ("c", 2)] {
            answers.keep(answer(text, MAX_BYTES / 4), None, at_ms);
        }
        // Being looked at makes none younger.
        assert!(answers.find(&key("a"), 3).is_some());
        answers.keep(answer("d", MAX_BYTES / 4), None, 3);
        assert!(answers.find(&key("a"), 3).is_none() && answers.find(&key("b"), 3).is_some());
        assert!(answers.bytes <= MAX_BYTES);
        answers.keep(answer("e", 1), None, 1 + millis(ANSWERS_KEPT));
        assert_eq!(answers.answers.len(), 3);
        answers.keep(answer("f", 1), None, 3 * millis(ANSWERS_KEPT));
        assert_eq!(answers.answers.len(), 1);
    }

    #[test]
    fn what_goes_with_its_session_is_pushed_out_by_nothing_else() {
        let mut answers = Answers::default();
        answers.keep_with(answer("mark", 1), session("s"));
        for n in 0..4 {
            answers.keep(answer(&n.to_string(), MAX_BYTES / 2), None, n * millis(ANSWERS_KEPT));
        }
        assert!(answers.find(&key("mark"), i64::MAX).is_some() && answers.answers.len() == 1);
        answers.remove_of(&session("t"));
        assert!(answers.find(&key("mark"), 0).is_some());
        answers.remove_of(&session("s"));
        assert!(answers.find(&key("mark"), 0).is_none());
    }

    #[test]
    fn all_bytes_are_given_back() {
        let mut answers = Answers::default();
        answers.keep(answer("a", 10), Some(&session("s")), 0);
        answers.keep(answer("a", 20), Some(&session("s")), 0);
        answers.keep(answer("b", 30), Some(&session("t")), 0);
        answers.remove_of(&session("s"));
        assert!(answers.find(&key("a"), 0).is_none() && answers.find(&key("b"), 0).is_some());
        answers.remove_of(&session("t"));
        assert_eq!((answers.bytes, answers.answers.len()), (0, 0));
    }
}
