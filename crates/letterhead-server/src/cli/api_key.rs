//! `letterhead api-key`

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use letterhead_context::TenantId;
use letterhead_store::sqlite::{SqliteOptions, SqliteTool};
use letterhead_store::{ApiKey, ApiKeys, Clock, SystemClock};
use unicode_width::UnicodeWidthStr;
use zeroize::Zeroizing;

use super::{ConfigFile, check, environment, print, say, serve};
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
    #[arg(long, value_name = "ID", default_value = "default", value_parser = tenant)]
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
        let path = &self.config.path;
        let checked = match assembly::check(path, &environment) {
            Ok(checked) => checked,
            Err(report) => {
                check::show(&report);
                bail!("{} has faults; nothing was done", path.display());
            }
        };
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
                            path.display()
                        ));
                    }
                    Ok(())
                }
                Action::List => Ok(print(&table(&keys.api_keys().await?, clock.now_ms()))?),
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
        keys.create_api_key(key).await.context("the key was not stored")?;
        print(&Zeroizing::new(format!("{}\n", *made.reveal())))?;
        say(&format!(
            "made the key `{}` (id {}) for the tenant `{}`; it is not shown again",
            self.name,
            made.id(),
            self.tenant
        ));
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
fn table(keys: &[ApiKey], now_ms: i64) -> String {
    if keys.is_empty() {
        return "no API keys; `letterhead api-key new NAME` makes one\n".to_owned();
    }
    let head = ["id", "name", "tenant", "rights", "made", "expires", ""].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(keys.iter().map(|key| row(key, now_ms))).collect();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
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

fn day(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.to_string().get(..10).unwrap_or_default().to_owned()
}

fn name(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a name is 1 to 64 letters, digits, `.`, `_` or `-`")
    }
}

fn tenant(text: &str) -> Result<String, &'static str> {
    let fits = (1..=letterhead_context::MAX_IDENTITY_BYTES).contains(&text.len());
    if fits && text.trim() == text && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a tenant is 1 to 256 bytes without blanks around them")
    }
}

/// A duration above zero.
pub(super) fn lifetime(text: &str) -> Result<Duration, &'static str> {
    let lifetime = parse_duration(text).ok_or("a number and a unit, such as `12h` or `90d`")?;
    if lifetime.is_zero() { Err("it has to be longer than nothing, such as `12h` or `90d`") } else { Ok(lifetime) }
}
