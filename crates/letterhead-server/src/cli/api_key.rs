//! `letterhead api-key`

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use letterhead_context::TenantId;
use letterhead_store::sqlite::{SqliteOptions, SqliteTool};
use letterhead_store::{ApiKey, ApiKeys, Clock, SystemClock};
use zeroize::Zeroizing;

use super::columns::{day, table};
use super::paint::Paint;
use super::{ConfigFile, identity, print, say, serve};
use crate::assembly::{self, Checked};
use crate::auth::{KeyText, Scope};
use crate::config::parse_duration;
use crate::config::store::Store;

/// Keys that programs call the server with. The store has them, and a running server sees every change within seconds.
#[derive(Debug, Args)]
pub(crate) struct ApiKeyArgs {
    #[command(flatten)]
    config: ConfigFile,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key, and print it: this once, for the store has only a hash of its secret
    New(New),
    /// List the keys, without their secrets
    List,
    /// Revoke a key: within ten seconds it opens nothing
    Revoke {
        /// The key's id, as `list` shows it; the key itself will do, too
        id: String,
    },
}

#[derive(Debug, Args)]
struct New {
    /// What the key is for. Whoever shows it is the user `key:NAME`
    #[arg(value_parser = name)]
    name: String,
    /// The tenant whose data it reaches
    #[arg(long, value_name = "ID", default_value = "default", value_parser = identity)]
    tenant: String,
    /// Let it say for which user a request is, by X-User-Id
    #[arg(long)]
    on_behalf: bool,
    /// What it may be used for beyond asking agents
    #[arg(long, value_name = "SCOPE", value_parser = Scope::ALL.map(Scope::as_str))]
    scope: Vec<String>,
    /// How long it opens anything, such as 90d; without this until it is revoked
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<Duration>,
}

impl ApiKeyArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let checked = self.config.checked("nothing was done")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let are_taken = checked.loaded.config.auth.api_keys;
        serve::runtime()?.block_on(async {
            let keys = open(&checked, &clock)?;
            match self.action {
                Action::New(new) => {
                    new.make(&*keys, &*clock).await?;
                    if !are_taken {
                        say(&format!(
                            "{} does not take API keys yet: add `auth: {{ api_keys: true }}`",
                            self.config.path.display()
                        ));
                    }
                    Ok(())
                }
                Action::List => Ok(print(&shown(&keys.api_keys().await?, clock.now_ms()))?),
                Action::Revoke { id } => revoke(&*keys, &id).await,
            }
        })
    }
}

/// The store's keys, beside a server that runs.
fn open(checked: &Checked, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn ApiKeys>> {
    Ok(match &checked.loaded.config.store {
        Store::Memory => {
            bail!("`store: memory` keeps nothing: API keys need a store that lasts, such as `sqlite://letterhead.db`")
        }
        Store::Sqlite { path } => Arc::new(SqliteTool::open(path, SqliteOptions::default(), Arc::clone(clock))?),
        Store::Postgres { address } => Arc::new(assembly::open_postgres(checked, address, clock)?),
    })
}

impl New {
    async fn make(&self, keys: &dyn ApiKeys, clock: &dyn Clock) -> anyhow::Result<()> {
        let made = KeyText::generate()?;
        let now_ms = clock.now_ms();
        let lifetime = self.expires.map(|lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
        let key = ApiKey {
            id: Arc::clone(made.id()),
            name: self.name.as_str().into(),
            tenant: TenantId::new(self.tenant.as_str()),
            scopes: self.scope.iter().map(|scope| scope.as_str().into()).collect(),
            on_behalf: self.on_behalf,
            created_at_ms: now_ms,
            expires_at_ms: lifetime.map(|lifetime| now_ms.saturating_add(lifetime)),
            revoked_at_ms: None,
            secret_sha256: made.secret_sha256(),
        };
        let alike = keys.api_keys().await?;
        let alike = alike
            .iter()
            .find(|known| (&known.name, &known.tenant) == (&key.name, &key.tenant) && known.is_valid(now_ms))
            .map(|known| known.id.clone());
        keys.create_api_key(key).await.context("the key was not stored")?;
        print(&Zeroizing::new(format!("{}\n", *made.reveal())))?;
        say(&format!(
            "made the key `{}` (id {}) for the tenant `{}`; it is not shown again",
            self.name,
            made.id(),
            self.tenant
        ));
        if let Some(id) = alike {
            say(&format!(
                "warning: another key of this tenant is called `{}` too (id {id}), and both are the user `key:{}`: once \
                 nobody uses the other, `letterhead api-key revoke {id}` ends it",
                self.name, self.name
            ));
        }
        Ok(())
    }
}

async fn revoke(keys: &dyn ApiKeys, shown: &str) -> anyhow::Result<()> {
    // Who pastes the key itself must not be told it back.
    let id = shown.strip_prefix("lh_").unwrap_or(shown).split('_').next().unwrap_or_default();
    if !keys.revoke_api_key(id).await? {
        bail!("there is no such key; `letterhead api-key list` shows the ids");
    }
    say(&format!("revoked {id}"));
    Ok(())
}

/// The keys as people read them.
fn shown(keys: &[ApiKey], now_ms: i64) -> String {
    if keys.is_empty() {
        return "no API keys; `letterhead api-key new NAME` makes one\n".to_owned();
    }
    let headings = ["id", "name", "tenant", "rights", "made", "expires", ""];
    table(headings, keys.iter().map(|key| row(key, now_ms)), Paint::of(std::io::stdout().is_terminal()))
}

fn row(key: &ApiKey, now_ms: i64) -> [String; 7] {
    let mut rights: Vec<&str> = key.scopes.iter().map(|scope| &**scope).collect();
    rights.extend(key.on_behalf.then_some("on-behalf"));
    let state = match (key.revoked_at_ms, key.is_valid(now_ms)) {
        (Some(_), _) => "revoked",
        (None, false) => "expired",
        (None, true) => "",
    };
    [
        key.id.to_string(),
        key.name.to_string(),
        key.tenant.as_str().to_owned(),
        if rights.is_empty() { "-".to_owned() } else { rights.join(" ") },
        day(key.created_at_ms),
        key.expires_at_ms.map_or_else(|| "never".to_owned(), day),
        state.to_owned(),
    ]
}

fn name(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a name is 1 to 64 letters, digits, `.`, `_` or `-`")
    }
}

/// A duration above zero.
pub(super) fn lifetime(text: &str) -> Result<Duration, &'static str> {
    let lifetime = parse_duration(text).ok_or("a number and a unit, such as `12h` or `90d`")?;
    if lifetime.is_zero() { Err("it has to be longer than nothing, such as `12h` or `90d`") } else { Ok(lifetime) }
}
