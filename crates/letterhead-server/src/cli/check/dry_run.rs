//! `letterhead check -H …`: what would become of a request, found out by the code that requests go through.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead::run::Preview;
use letterhead_context::{Caller, Problem, TenantId};
use letterhead_store::{ApiKey, Clock, Role, SystemClock};
use serde_json::json;

use super::{behind, show};
use crate::app::App;
use crate::arrival::Arrival;
use crate::assembly::{self, Checked};
use crate::auth::{Credential, KeyText};
use crate::cli::header_option::{self, HeaderOption};
use crate::cli::paint::Paint;
use crate::cli::rules::Rules;
use crate::cli::{print, say, serve};
use crate::config::store::Store;
use crate::edge::Peer;
use crate::model_choice::Asked;
use crate::turn::{self, Incoming, IncomingMessage, SessionChoice};

/// The request that is tried.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dry run")]
pub(super) struct DryRun {
    /// A header of the request, as curl has it: 'name: value', 'name;' for an empty one, @FILE for a file of them
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<HeaderOption>,
    /// The agent that is asked (X-Agent-Schema)
    #[arg(short, long, value_name = "NAME")]
    agent: Option<String>,
    /// The model that is chosen (X-Model-Name)
    #[arg(short, long, value_name = "PROVIDER:MODEL")]
    model: Option<String>,
    /// The user that a trusted address names (X-User-Id)
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The tenant that a trusted address names (X-Tenant-Id)
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// Fetch the context variables: their requests are sent, the model's still is not
    #[arg(long)]
    fetch: bool,
}

/// What would become of the request.
pub(super) struct Tried {
    /// Who would be asking.
    pub(super) caller: Caller,
    /// The call that would be made.
    pub(super) preview: Preview,
}

impl DryRun {
    /// Was any part of a request given?
    pub(super) fn is_asked_for(&self) -> bool {
        let options = [&self.agent, &self.model, &self.user, &self.tenant];
        self.fetch || !self.headers.is_empty() || options.into_iter().any(Option::is_some)
    }

    pub(super) fn run(self, mut checked: Checked) -> anyhow::Result<ExitCode> {
        let headers = self.headers()?;
        let (rules, reads) = (Rules::of(&checked.ingress), checked.registry.header_reads());
        // The configured store stays closed: nothing is kept of a dry run.
        checked.loaded.config.store = Store::Memory;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = assembly::open_store(&checked, &clock)?;
        let app = Arc::new(checked.into_app(Arc::clone(&store), Arc::clone(&clock)));
        let peer = self.peer(&app)?;
        let runtime = serve::runtime()?;
        if let Some(key) = stand_in(app.auth.credential(&headers), &headers, clock.now_ms()) {
            runtime.block_on(store.create_api_key(key))?;
            say(
                "the API key is not looked up: it is taken for a valid one of the tenant `default`, which may say for which \
                 user a request is",
            );
        }
        let paint = Paint::of(std::io::stdout().is_terminal());
        match runtime.block_on(tried(&app, headers.clone(), peer, self.fetch)) {
            Ok(tried) => {
                print(&show::call(&tried, &behind::behind(&tried.preview, &headers, &rules, &reads), paint))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => {
                print(&show::refusal(&problem, paint))?;
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// All headers of the request. An option of its own wins over `-H`.
    fn headers(&self) -> anyhow::Result<HeaderMap> {
        let mut headers = header_option::read(&self.headers)?;
        let options = [
            ("x-agent-schema", "--agent", &self.agent),
            ("x-model-name", "--model", &self.model),
            ("x-user-id", "--user", &self.user),
            ("x-tenant-id", "--tenant", &self.tenant),
        ];
        for (name, option, value) in options {
            if let Some(value) = value {
                let value = HeaderValue::from_bytes(value.as_bytes());
                let value = value.with_context(|| format!("{option} cannot be sent as a header"))?;
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Ok(headers)
    }

    /// Where the request comes from: this machine, or who may say which user and tenant it is for.
    fn peer(&self, app: &App) -> anyhow::Result<IpAddr> {
        if self.user.is_none() && self.tenant.is_none() {
            return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        match app.auth.trusted_address() {
            Some(address) => Ok(address),
            None => bail!(
                "--user and --tenant: with this configuration nobody is trusted to say who is calling \
                 (`auth.trust_identity_headers`)"
            ),
        }
    }
}

/// What stands for the API key that a request shows, as the store that has it stays closed. None where it shows none that
/// could be one.
fn stand_in(shown: Credential, headers: &HeaderMap, now_ms: i64) -> Option<ApiKey> {
    let (Credential::Key(text) | Credential::Bearer(text)) = shown else { return None };
    let key = KeyText::parse(&text)?;
    Some(ApiKey {
        id: Arc::clone(key.id()),
        name: "unverified".into(),
        tenant: TenantId::default(),
        scopes: Vec::new(),
        on_behalf: headers.contains_key("x-user-id"),
        created_at_ms: now_ms,
        expires_at_ms: None,
        revoked_at_ms: None,
        secret_sha256: key.secret_sha256(),
    })
}

/// Takes a request in as the server does, in a session of its own, as far as the first call.
async fn tried(app: &Arc<App>, headers: HeaderMap, peer: IpAddr, fetch: bool) -> Result<Tried, Problem> {
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Peer(SocketAddr::from((peer, 0))));
    let arrival = Box::<Arrival>::from_request(request, app).await.map_err(|failure| failure.problem().clone())?;
    let asked = Asked::read(&app.registry, &app.aliases, &arrival.identity, None)?;
    let caller = arrival.caller.clone();
    let message = json!({ "role": "user", "content": "Hello" }).to_string();
    let message = IncomingMessage { id: None, role: Role::User, body: message.into() };
    let session = SessionChoice::first([arrival.identity.session_id.clone()], SessionChoice::New);
    let incoming = Incoming::new(session, asked, vec![message]);
    let preview = turn::preview(app, arrival, Box::new(incoming), fetch).await?;
    Ok(Tried { caller, preview })
}
