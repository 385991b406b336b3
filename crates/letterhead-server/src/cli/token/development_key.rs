//! The key that development tokens are signed with: Ed25519, in a file beside the configuration that only its owner reads.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::auth::DEVELOPMENT;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// A key pair, and where it is kept.
pub(super) struct DevelopmentKey {
    pair: Ed25519KeyPair,
    path: PathBuf,
}

impl DevelopmentKey {
    /// The key beside a configuration, and whether it had to be made: `letterhead.dev-key.pem` for `letterhead.yaml`.
    pub(super) fn beside(config: &Path) -> anyhow::Result<(Self, bool)> {
        let path = config.with_extension("dev-key.pem");
        match fs::read_to_string(&path) {
            Ok(text) => Ok((Self::read(path, &Zeroizing::new(text))?, false)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((Self::make(path)?, true)),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn read(path: PathBuf, text: &str) -> anyhow::Result<Self> {
        refuse_shared(&path)?;
        let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body: Zeroizing<String> = Zeroizing::new(body.unwrap_or_default().split_whitespace().collect());
        let der = BASE64_STANDARD.decode(&*body).ok().map(Zeroizing::new);
        let pair = der.and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok());
        let Some(pair) = pair else {
            bail!("{} is no development key; remove it, and a new one is made", path.display());
        };
        Ok(Self { pair, path })
    }

    fn make(path: PathBuf) -> anyhow::Result<Self> {
        let pair = Ed25519KeyPair::generate().ok().context("the system gave no random numbers")?;
        let der = pair.to_pkcs8v1().ok().context("the key could not be written down")?;
        let text =
            Zeroizing::new(format!("{BEGIN}\n{}\n{END}\n", *Zeroizing::new(BASE64_STANDARD.encode(der.as_ref()))));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { pair, path })
    }

    /// Where it is kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The public half as a JWK, written as YAML takes it in one line.
    pub(super) fn yaml(&self) -> String {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        format!("{{ kty: OKP, crv: Ed25519, x: {x}, kid: {} }}", self.id())
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id() });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// By what a token names the key.
    fn id(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.pair.public_key().as_ref());
        let begin: String = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{DEVELOPMENT}{begin}")
    }
}

/// A key that others can read is not this user's alone.
#[cfg(unix)]
fn refuse_shared(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        bail!("{} can be read by others: `chmod 600 {}`", path.display(), path.display());
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path) -> anyhow::Result<()> {
    Ok(())
}
