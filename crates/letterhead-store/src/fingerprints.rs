//! Fingerprints of requests, by which a kept context variable is known to be still the right one.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac, rand};
use zeroize::Zeroizing;

use crate::vault::fingerprint;
use crate::{Fingerprint, NoRandomness, Vault};

/// Makes fingerprints of requests, of which nobody who reads a database can learn what was in the request.
///
/// | | a request with a secret in it | any other |
/// |---|---|---|
/// | with a key | HMAC-SHA-256 under a key derived from it | the same |
/// | without | HMAC-SHA-256 under a random key of this process, so that it holds in memory only | SHA-256 |
///
/// ```
/// use letterhead_store::Fingerprints;
///
/// let fingerprints = Fingerprints::new(None)?;
/// assert_eq!(fingerprints.of(b"GET /plans", false), Fingerprints::new(None)?.of(b"GET /plans", false));
/// assert_ne!(fingerprints.of(b"token t", true), Fingerprints::new(None)?.of(b"token t", true));
/// # Ok::<(), letterhead_store::NoRandomness>(())
/// ```
pub struct Fingerprints {
    vault: Option<Arc<Vault>>,
    /// For requests with a secret, where there is no key.
    process: hmac::Key,
}

impl Fingerprints {
    /// Fingerprints under the vault's current key, where there is a vault.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new(vault: Option<Arc<Vault>>) -> Result<Self, NoRandomness> {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(&mut *key).map_err(|_| NoRandomness)?;
        Ok(Self { vault, process: hmac::Key::new(hmac::HMAC_SHA256, &*key) })
    }

    /// The fingerprint of a request, given as bytes that no other request has. `names_secret` tells whether there is a
    /// secret in it.
    pub fn of(&self, request: &[u8], names_secret: bool) -> Fingerprint {
        match &self.vault {
            Some(vault) => vault.fingerprint(request),
            None if names_secret => fingerprint(&self.process, request),
            None => {
                let hash = digest::digest(&digest::SHA256, request);
                // The hash has as many bytes as the fingerprint.
                hash.as_ref().first_chunk().copied().unwrap_or_default()
            }
        }
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprints").field("has_key", &self.vault.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VaultKey;

    fn keyed(key: &str) -> Fingerprints {
        let vault = Vault::new(VaultKey::parse(&key.repeat(32)).unwrap(), None);
        Fingerprints::new(Some(Arc::new(vault))).unwrap()
    }

    #[test]
    fn with_a_key_they_hold_over_a_restart_and_with_another_key_they_do_not() {
        for names_secret in [false, true] {
            assert_eq!(keyed("5e").of(b"request", names_secret), keyed("5e").of(b"request", names_secret));
            assert_ne!(keyed("5e").of(b"request", names_secret), keyed("5f").of(b"request", names_secret));
            assert_ne!(keyed("5e").of(b"request", names_secret), keyed("5e").of(b"another", names_secret));
        }
        assert_ne!(keyed("5e").of(b"request", false), Fingerprints::new(None).unwrap().of(b"request", false));
    }

    #[test]
    fn they_are_those_that_the_standards_say() {
        // SHA-256 of "abc", as FIPS 180-4 has it.
        let hash = Fingerprints::new(None).unwrap().of(b"abc", false);
        assert_eq!(hash[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        // Worked out with another program, from the description alone.
        let hash = keyed("5e").of(b"abc", true);
        assert_eq!(hash[..8], [0x15, 0x32, 0x03, 0xbc, 0x6e, 0x5b, 0x25, 0x10]);
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?} {:?}", keyed("5e"), Fingerprints::new(None).unwrap());
        assert!(!shown.contains("94") && !shown.contains("5e"), "{shown}");
    }
}
