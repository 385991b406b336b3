//! `letterhead token`

mod development_key;
mod replace_file;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use letterhead_store::{Clock, SystemClock};
use serde_json::{Map, Value, json};

use self::development_key::DevelopmentKey;
use super::{ConfigFile, api_key, check, environment, identity, print, say, serve};
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
    #[arg(long, short, value_name = "ID", default_value = "developer", value_parser = identity)]
    user: String,
    /// The tenant that the token is for
    #[arg(long, short, value_name = "ID", default_value = "default", value_parser = identity)]
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
        let jwt = loaded.config.auth.jwt.as_ref();
        let expected = jwt.map_or_else(development, |jwt| jwt.expected.clone());
        // Before a key is made: none is left behind where it would be of no use.
        let claims = self.claims(&expected, SystemClock.now_ms())?;
        if jwt.is_some() && loaded.document.json("/auth/jwt/keys").is_none() {
            bail!(
                "{} believes another issuer by `auth.jwt.jwks_url` or `secret`, beside which no key can be added: for \
                 development use a file of its own (`--config dev.yaml`)",
                path.display()
            );
        }
        let has_section = loaded.document.json("/auth").is_some();
        if self.add && jwt.is_none() && has_section {
            bail!(
                "{} has a section `auth` already, and nothing was added to it: `letterhead token` without `--add` prints \
                 what to add",
                path.display()
            );
        }
        let (key, is_new) = DevelopmentKey::beside(path)?;
        if is_new {
            say(&format!("made {}: whoever has it can be anybody here, keep it to yourself", key.path().display()));
        }
        let token = key.sign(&Value::Object(claims));
        match jwt {
            Some(jwt) => is_believed(&token, &jwt.keys, expected, &key, path)?,
            None if self.add => add(path, &key)?,
            None if has_section => {
                say(&format!("{} does not believe it yet. Add this to its section `auth`:\n", path.display()));
                say(&jwt_block(&key));
            }
            None => {
                say(&format!("{} does not believe it yet. `letterhead token --add` adds this:\n", path.display()));
                say(&snippet(&key));
            }
        }
        Ok(print(&format!("{token}\n"))?)
    }

    /// All that the token says.
    fn claims(&self, expected: &Expected, now_ms: i64) -> anyhow::Result<Map<String, Value>> {
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
        for (name, by) in [
            (user, "`--user` says who it is for"),
            (expected.tenant_claim.as_deref().unwrap_or("tenant"), "`--tenant` says which tenant it is for"),
            ("exp", "`--expires` says how long it is valid"),
            ("iat", "it is made now"),
            ("iss", "it is the issuer that the configuration believes"),
            ("aud", "it is the audience that the configuration believes"),
        ] {
            if claims.contains_key(name) {
                bail!("--claim: `{name}` cannot be set so: {by}");
            }
        }
        claims.extend(told.map(|(name, value)| (name.to_owned(), value)));
        match &expected.tenant_claim {
            Some(claim) => drop(claims.insert(claim.to_string(), json!(self.tenant))),
            None if self.tenant != "default" => {
                bail!("--tenant: tokens name no tenant here, because `auth.jwt.tenant_claim` is not set")
            }
            None => {}
        }
        Ok(claims)
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
    format!("# Tokens that `letterhead token` makes, for development.\nauth:\n{}", jwt_block(key))
}

/// The part of it inside `auth`.
fn jwt_block(key: &DevelopmentKey) -> String {
    let Expected { issuer, audience, .. } = development();
    format!(
        "  jwt:\n    issuer: {issuer}\n    audience: {}\n    tenant_claim: tenant\n    keys:\n      - {}\n",
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
    let verifier = TokenVerifier::new(keys, expected, Arc::new(SystemClock));
    match serve::runtime()?.block_on(verifier.verify(token)) {
        Ok(_) => Ok(()),
        Err(fault) if fault.is_of_the_key() => bail!(
            "{} believes other keys: for development use a file of its own (`--config dev.yaml`), or add this key to \
             `auth.jwt.keys`:\n      - {}",
            path.display(),
            key.yaml()
        ),
        Err(fault) => bail!("this token would be refused: {fault}"),
    }
}

/// Adds the key to the configuration, if it then has no faults.
fn add(path: &Path, key: &DevelopmentKey) -> anyhow::Result<()> {
    let before = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let after = format!("{}\n\n{}", before.trim_end(), snippet(key));
    let is_written = replace_file::replace(path, &after, |new| config::read(new, &environment).is_ok());
    if !is_written.with_context(|| format!("cannot write {}; it is as it was", path.display()))? {
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
