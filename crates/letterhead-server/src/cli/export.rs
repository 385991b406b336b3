//! `letterhead export`

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use letterhead_context::{SessionId, TenantId, UserId};
use letterhead_store::sqlite::{SqliteOptions, SqliteTool};
use letterhead_store::{Clock, Lifetimes, Owner, SessionExport, SessionKey, SystemClock};

use super::{ConfigFile, identity, print, say, serve};
use crate::assembly::{self, Checked, KEY};
use crate::config::store::Store;

/// Prints all that is kept of a session as JSON, whether a server runs or not: messages, headers, variables, state and
/// trail. Secrets are there by name alone. It is for whoever may read the store; callers ask the server.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The session's id
    #[arg(value_parser = session)]
    session: SessionId,
    /// The tenant whose session it is
    #[arg(long, short, value_name = "ID", default_value = "default", value_parser = identity)]
    tenant: String,
    /// The user whose session it is; without this it is nobody's in particular
    #[arg(long, short, value_name = "ID", value_parser = identity)]
    user: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let checked = self.config.checked("nothing was exported")?;
        let owner = Owner { tenant: TenantId::new(self.tenant), user: self.user.map(UserId::new) };
        let Some(Found { export, has_left_out }) = read(&checked, &owner.session(self.session))? else {
            let tenant = owner.tenant.as_str();
            match &owner.user {
                Some(user) => bail!("the user `{}` of the tenant `{tenant}` has no such session", user.as_str()),
                None => bail!(
                    "the tenant `{tenant}` has no such session that belongs to no user; `--user ID` asks for a user's, and \
                     `--tenant ID` in another tenant"
                ),
            }
        };
        if has_left_out {
            let why = if checked.vault.is_some() { "is another one" } else { "is not set" };
            say(&format!(
                "warning: secrets of this session are not listed, not even by name: they cannot be decrypted, because \
                 `{KEY}` {why}; export with the server's key"
            ));
        }
        let mut text = serde_json::to_string_pretty(&export)?;
        text.push('\n');
        Ok(print(&text)?)
    }
}

fn session(text: &str) -> Result<SessionId, String> {
    SessionId::parse(text).map_err(|problem| problem.detail().to_owned())
}

/// What was found.
struct Found {
    export: SessionExport,
    /// Whether secrets are missing that could not be decrypted.
    has_left_out: bool,
}

/// Reads the session from the store that the configuration names.
fn read(checked: &Checked, key: &SessionKey) -> anyhow::Result<Option<Found>> {
    let config = &checked.loaded.config;
    let lifetimes = Lifetimes {
        headers: config.sessions.headers_ttl,
        secrets: config.sessions.secrets_ttl,
        sessions: config.sessions.ttl,
    };
    match &config.store {
        Store::Memory => bail!(
            "`store: memory` is in the server alone; its callers get a session from `GET /api/v1/sessions/ID/messages`"
        ),
        // Opening one that is not there would make it.
        Store::Sqlite { path } if !path.exists() => bail!("there is no database {}", path.display()),
        Store::Sqlite { path } => {
            let options = SqliteOptions { lifetimes, vault: checked.vault.clone(), ..SqliteOptions::default() };
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let tool = SqliteTool::open(path, options, clock)?;
            Ok(tool.export(key)?.map(|export| Found { export, has_left_out: tool.has_left_out() }))
        }
        Store::Postgres { address } => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let store = assembly::open_postgres(checked, address, &clock)?;
            let export = serve::runtime()?.block_on(SessionExport::read(&store, key))?;
            Ok(export.map(|export| Found { export, has_left_out: store.has_left_out() }))
        }
    }
}
