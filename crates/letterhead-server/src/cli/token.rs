//! `letterhead token`

mod development_key;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use letterhead_store::{Clock, SystemClock};
use serde_json::{Map, Value, json};

use self::development_key::DevelopmentKey;
use super::{ConfigFile, api_key, check, environment, print, say, serve};
use crate::auth::{Expected, KeySource, TokenVerifier};
use crate::config::{self, Loaded};

/// Makes a token for trying things out, signed with a key of its own beside the configuration.
///
/// The token is all that the standard output gets: curl -H "Authorization: Bearer $(letterhead token)" …
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    config: ConfigFile,
    /// The user that the token is for
    #[arg(long, short, value_name = "ID", default_value = "developer")]
    user: String,
    /// The tenant that the token is for
    #[arg(long, short, value_name = "ID", default_value = "default")]
    tenant: String,
    /// A further claim; the value is JSON, or else a text
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, Value)>,
    /// How long it is valid
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = api_key::lifetime)]
    expires: Duration,
    /// Write into the configuration that such tokens are believed
    #[arg(long)]
    add: bool,
}

impl Token {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let path = &self.config.path;
        let loaded = read(path)?;
        let (key, is_new) = DevelopmentKey::beside(path)?;
        if is_new {
            say(&format!("made {}: whoever has it can be anybody here, keep it to yourself", key.path().display()));
        }
        let expected = match &loaded.config.auth.jwt {
            Some(jwt) => jwt.expected.clone(),
            None => development(),
        };
        let token = self.sign(&key, &expected, SystemClock.now_ms())?;
        match &loaded.config.auth.jwt {
            Some(jwt) => is_believed(&token, &jwt.keys, expected, &key, path)?,
            None if self.add => add(path, &loaded, &key)?,
            None => {
                say(&format!("{} does not believe it yet. `letterhead token --add` adds this:\n", path.display()));
                say(&snippet(&key));
            }
        }
        Ok(print(&format!("{token}\n"))?)
    }

    fn sign(&self, key: &DevelopmentKey, expected: &Expected, now_ms: i64) -> anyhow::Result<String> {
        let now = now_ms.div_euclid(1000);
        let lifetime = i64::try_from(self.expires.as_secs()).unwrap_or(i64::MAX);
        let mut claims: Map<String, Value> = self.claim.iter().cloned().collect();
        let user = &*expected.user_claim;
        let told = [
            ("iss", json!(&*expected.issuer)),
            ("aud", json!(expected.audience.first())),
            ("iat", json!(now)),
            ("exp", json!(now.saturating_add(lifetime))),
            (user, json!(self.user)),
        ];
        claims.extend(told.map(|(name, value)| (name.to_owned(), value)));
        match &expected.tenant_claim {
            Some(claim) => drop(claims.insert(claim.to_string(), json!(self.tenant))),
            None if self.tenant != "default" => {
                bail!("--tenant: tokens name no tenant here, because `auth.jwt.tenant_claim` is not set")
            }
            None => {}
        }
        Ok(key.sign(&Value::Object(claims)))
    }
}

fn read(path: &Path) -> anyhow::Result<Loaded> {
    config::read(path, &environment).map_err(|report| {
        check::show(&report);
        anyhow::anyhow!("{} has faults; nothing was done", path.display())
    })
}

/// What tokens for development say.
fn development() -> Expected {
    Expected {
        issuer: "letterhead-development".into(),
        audience: vec!["letterhead".to_owned()],
        user_claim: "sub".into(),
        tenant_claim: Some("tenant".into()),
    }
}

/// What makes a server believe the key.
fn snippet(key: &DevelopmentKey) -> String {
    let Expected { issuer, audience, .. } = development();
    format!(
        "# Tokens that `letterhead token` makes, for development.\nauth:\n  jwt:\n    issuer: {issuer}\n    \
         audience: {}\n    tenant_claim: tenant\n    keys:\n      - {}\n",
        audience.join(" "),
        key.yaml()
    )
}

/// Tries the token as the server would.
fn is_believed(
    token: &str,
    keys: &KeySource,
    expected: Expected,
    key: &DevelopmentKey,
    path: &Path,
) -> anyhow::Result<()> {
    if let KeySource::Fixed(_) = keys {
        let verifier = TokenVerifier::new(keys, expected, Arc::new(SystemClock));
        match serve::runtime()?.block_on(verifier.verify(token)) {
            Ok(_) => return Ok(()),
            Err(fault) if fault.is_of_the_key() => {}
            Err(fault) => bail!("this token would be refused: {fault}"),
        }
    }
    bail!(
        "{} believes another issuer: for development use a file of its own (`--config dev.yaml`), or add this key to \
         `auth.jwt.keys`:\n      - {}",
        path.display(),
        key.yaml()
    )
}

/// Adds the key to the configuration, and takes that back if it then has faults.
fn add(path: &Path, loaded: &Loaded, key: &DevelopmentKey) -> anyhow::Result<()> {
    if loaded.document.json("/auth").is_some() {
        bail!("{} has a section `auth` already; add this to it:\n\n{}", path.display(), snippet(key));
    }
    let write = |text: &str| fs::write(path, text).with_context(|| format!("cannot write {}", path.display()));
    let before = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    write(&format!("{}\n\n{}", before.trim_end(), snippet(key)))?;
    if config::read(path, &environment).is_err() {
        write(&before)?;
        bail!("{} is written in a way that nothing can be added to; add this:\n\n{}", path.display(), snippet(key));
    }
    say(&format!(
        "added `auth.jwt` to {}: start the server anew, and it refuses requests without a token",
        path.display()
    ));
    Ok(())
}

fn claim(text: &str) -> Result<(String, Value), &'static str> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("a claim is `name=value`")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}
