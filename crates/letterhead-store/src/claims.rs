//! Which `Idempotency-Key`s are being worked on, within this process. What a process forgets when it ends is what it was
//! working on, so that a crash frees every key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::{Claim, Claimed, IdempotencyKey};

/// The keys that are being worked on, with the hashes of their requests.
#[derive(Default)]
pub(crate) struct Claims {
    running: Mutex<HashMap<IdempotencyKey, [u8; 32]>>,
}

/// Somebody works on the key.
pub(crate) enum Held {
    /// For the same request.
    Same,
    /// For another one.
    Other,
}

impl From<Held> for Claim {
    fn from(held: Held) -> Self {
        match held {
            Held::Same => Self::Running,
            Held::Other => Self::Mismatch,
        }
    }
}

/// An answer that was kept.
pub(crate) struct Answered {
    pub(crate) request: [u8; 32],
    pub(crate) body: Arc<[u8]>,
}

impl Claims {
    /// Takes a key, if nobody works on it. Whoever has it then looks whether it was answered, in this order: an answer is
    /// kept before its key is free.
    pub(crate) fn take(self: &Arc<Self>, key: IdempotencyKey, request: [u8; 32]) -> Result<Taken, Held> {
        match self.running().entry(key.clone()) {
            Entry::Occupied(running) if *running.get() == request => Err(Held::Same),
            Entry::Occupied(_) => Err(Held::Other),
            Entry::Vacant(place) => {
                place.insert(request);
                Ok(Taken { claims: self.clone(), key, request })
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<IdempotencyKey, [u8; 32]>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work on a key. Dropping it frees the key.
pub(crate) struct Taken {
    claims: Arc<Claims>,
    key: IdempotencyKey,
    request: [u8; 32],
}

impl Taken {
    /// What becomes of the request, when it is known whether the key was answered.
    pub(crate) fn settle(self, answered: Option<Answered>) -> Claim {
        match answered {
            Some(answered) if answered.request == self.request => Claim::Answered(answered.body),
            Some(_) => Claim::Mismatch,
            None => Claim::New(Claimed::new(self.key.clone(), self.request, Uuid::nil(), self)),
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.claims.running().remove(&self.key);
    }
}
