//! Secrets as they may be stored: encrypted, and bound to the place where they stand.
//!
//! A sealed value is, byte for byte:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 8 | id of the key: the beginning of HMAC-SHA-256 under the key over `letterhead secret key id` |
//! | 12 | nonce, random |
//! | n | AES-256-GCM ciphertext |
//! | 16 | its tag |
//!
//! The associated data is tenant, user or none, session and field, each behind its length (8 bytes, the
//! highest first); for a context variable its name stands for the field, and the word `variable` behind that. A value
//! that was moved to another place does not open; an older value put back in the same place does.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac, rand};
use zeroize::Zeroizing;

use crate::{Fingerprint, SessionKey};

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const KEY_ID_LEN: usize = 8;
const TAG_LEN: usize = 16;
/// What stands before the ciphertext.
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// A key for secrets. Nothing shows it, and it is wiped when it is dropped.
pub struct VaultKey {
    id: [u8; KEY_ID_LEN],
    /// Derived from it, for fingerprints.
    fingerprints: hmac::Key,
    /// The library overwrites what it frees.
    cipher: LessSafeKey,
}

/// What was given is no key. The text does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 64 hexadecimal digits (32 bytes), and nothing else")]
pub struct BadKey;

/// The system gave no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random numbers")]
pub struct NoRandomness;

impl VaultKey {
    /// Reads a key: 64 hexadecimal digits, small or capital.
    ///
    /// ```
    /// use letterhead_store::{BadKey, VaultKey};
    ///
    /// assert!(VaultKey::parse(&VaultKey::generate()?).is_ok());
    /// assert_eq!(VaultKey::parse("secret").err(), Some(BadKey));
    /// # Ok::<(), letterhead_store::NoRandomness>(())
    /// ```
    ///
    /// # Errors
    /// [`BadKey`] for anything else.
    pub fn parse(hex: &str) -> Result<Self, BadKey> {
        let digits = hex.as_bytes();
        if digits.len() != 2 * KEY_LEN {
            return Err(BadKey);
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            for &digit in pair {
                *byte = (*byte << 4) | hex_value(digit).ok_or(BadKey)?;
            }
        }
        let cipher = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| BadKey)?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), b"letterhead secret key id");
        let id = tag.as_ref().first_chunk().copied().ok_or(BadKey)?;
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, b"letterhead").extract(&*key);
        let fingerprints = derived.expand(&[b"fingerprints of requests"], hmac::HMAC_SHA256).map_err(|_| BadKey)?;
        Ok(Self { id, fingerprints: fingerprints.into(), cipher: LessSafeKey::new(cipher) })
    }

    /// A new random key, as [`parse`](Self::parse) reads it.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Zeroizing<String>, NoRandomness> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *key).map_err(|_| NoRandomness)?;
        let mut hex = Zeroizing::new(String::with_capacity(2 * KEY_LEN));
        for digit in key.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            hex.extend(char::from_digit(u32::from(digit), 16));
        }
        Ok(hex)
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultKey").finish_non_exhaustive()
    }
}

/// Encrypts secrets for the disk, and decrypts them.
#[derive(Debug)]
pub struct Vault {
    current: VaultKey,
    previous: Option<VaultKey>,
}

/// Where a secret stands.
#[derive(Clone, Copy)]
pub(crate) struct SecretPlace<'a> {
    session: &'a SessionKey,
    name: &'a str,
    /// A context variable, not a header.
    is_variable: bool,
}

/// A value that was sealed. Wiped when it is dropped.
pub(crate) struct Opened {
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    /// Whether it was sealed with the previous key.
    pub(crate) is_old: bool,
}

impl Vault {
    /// A vault that seals with the current key, and opens what either of them has sealed.
    #[must_use]
    pub fn new(current: VaultKey, previous: Option<VaultKey>) -> Self {
        Self { current, previous }
    }

    /// The fingerprint of a request: HMAC-SHA-256 under a key that is derived (HKDF-SHA-256) from the current key. After
    /// a change of the key all are other ones.
    ///
    /// ```
    /// use letterhead_store::{Vault, VaultKey};
    ///
    /// let vault = Vault::new(VaultKey::parse(&"5e".repeat(32))?, None);
    /// assert_eq!(vault.fingerprint(b"GET /users/1"), vault.fingerprint(b"GET /users/1"));
    /// assert_ne!(vault.fingerprint(b"GET /users/1"), vault.fingerprint(b"GET /users/2"));
    /// # Ok::<(), letterhead_store::BadKey>(())
    /// ```
    pub fn fingerprint(&self, request: &[u8]) -> Fingerprint {
        fingerprint(&self.current.fingerprints, request)
    }

    /// Encrypts a value for its place.
    pub(crate) fn seal(&self, place: SecretPlace<'_>, plaintext: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| NoRandomness)?;
        let mut sealed = Vec::with_capacity(HEAD_LEN + plaintext.len() + TAG_LEN);
        sealed.push(VERSION);
        sealed.extend(self.current.id);
        sealed.extend(nonce);
        sealed.extend(plaintext);
        let Some((_, text)) = sealed.split_at_mut_checked(HEAD_LEN) else { return Err(NoRandomness) };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.current.cipher.seal_in_place_separate_tag(nonce, Aad::from(place.bytes()), text);
        // Only a text of more than 64 GiB is refused.
        let tag = tag.map_err(|_| NoRandomness)?;
        sealed.extend(tag.as_ref());
        Ok(sealed)
    }

    /// Decrypts what was sealed for this place. None for anything else, and for other keys.
    pub(crate) fn open(&self, place: SecretPlace<'_>, sealed: &[u8]) -> Option<Opened> {
        let (&[VERSION], rest) = sealed.split_first_chunk()? else { return None };
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LEN>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let is_old = *id != self.current.id;
        let key = if is_old { self.previous.as_ref().filter(|key| key.id == *id)? } else { &self.current };
        let mut plaintext = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.cipher.open_in_place(nonce, Aad::from(place.bytes()), &mut plaintext).ok()?.len();
        plaintext.truncate(length);
        Some(Opened { plaintext, is_old })
    }
}

/// HMAC-SHA-256.
pub(crate) fn fingerprint(key: &hmac::Key, request: &[u8]) -> Fingerprint {
    // The tag has as many bytes as the fingerprint.
    hmac::sign(key, request).as_ref().first_chunk().copied().unwrap_or_default()
}

impl<'a> SecretPlace<'a> {
    /// The place of a header.
    pub(crate) fn header(session: &'a SessionKey, field: &'a str) -> Self {
        Self { session, name: field, is_variable: false }
    }

    /// The place of a context variable.
    pub(crate) fn variable(session: &'a SessionKey, name: &'a str) -> Self {
        Self { session, name, is_variable: true }
    }

    /// The associated data. Each text stands behind its length, so that no two places have the same; no user is a zero,
    /// and a user, even an empty one, is a one and the text.
    fn bytes(&self) -> Vec<u8> {
        let SessionKey { tenant, user, id } = self.session;
        let mut bytes = Vec::with_capacity(64 + self.session.weight() + self.name.len());
        text(&mut bytes, tenant.as_str());
        match user {
            None => bytes.push(0),
            Some(user) => {
                bytes.push(1);
                text(&mut bytes, user.as_str());
            }
        }
        text(&mut bytes, id.as_str());
        text(&mut bytes, self.name);
        if self.is_variable {
            text(&mut bytes, "variable");
        }
        bytes
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text.as_bytes());
}

#[cfg(test)]
mod tests;
