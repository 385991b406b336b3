//! `auth:` of what sends requests — the token that they carry, for which the caller's own is traded (RFC 8693).

use std::time::Duration;

use letterhead::outbound::{Url, base_url};
use letterhead::{ClientAuthentication, SubjectTokenType};

use super::{pointer::Pointer, section::Section, template::TemplateSource};

/// How long an exchange may take, unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the token of a destination is got.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenExchange {
    /// The token endpoint.
    pub endpoint: String,
    /// For whom the token is to be.
    pub audience: Option<String>,
    /// The same as an address.
    pub resource: Option<String>,
    /// What it is to be good for.
    pub scope: Option<String>,
    /// As which client the endpoint is asked.
    pub client: Option<Client>,
    /// What the endpoint is told that the caller's token is.
    pub subject_token_type: SubjectTokenType,
    /// How long an exchange may take.
    pub timeout: Duration,
    /// Where it stands.
    pub pointer: Pointer,
}

/// A client of the token endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Client {
    /// Its name there.
    pub id: String,
    /// Its secret; nothing is a client without one.
    pub secret: Option<TemplateSource>,
    /// How it shows the secret.
    pub authentication: ClientAuthentication,
}

impl TokenExchange {
    /// Reads `auth` of a destination; nothing where there is none, or one with faults.
    pub(super) fn read(auth: &Section<'_>) -> Option<Self> {
        let section = auth.child("token_exchange");
        let text = |key: &str| section.child(key).text().map(str::to_owned);
        let endpoint = section.child("endpoint");
        let exchange = Self {
            audience: text("audience"),
            resource: text("resource"),
            scope: text("scope"),
            client: client(&section),
            subject_token_type: match section.child("subject_token_type").text() {
                Some("id_token") => SubjectTokenType::IdToken,
                Some("jwt") => SubjectTokenType::Jwt,
                _ => SubjectTokenType::AccessToken,
            },
            timeout: section.child("timeout").duration(TIMEOUT),
            pointer: section.pointer().clone(),
            endpoint: endpoint.text()?.to_owned(),
        };
        match base_url(&exchange.endpoint) {
            Ok(url) => warn_of_plain(&endpoint, &url),
            Err(fault) => {
                endpoint.error(fault.to_string(), None);
                return None;
            }
        }
        Some(exchange)
    }
}

fn client(section: &Section<'_>) -> Option<Client> {
    let [id, secret, authentication] = ["client_id", "client_secret", "client_auth"].map(|key| section.child(key));
    if secret.exists() && !id.exists() {
        secret.error_at_key("a secret alone names no client", "add its `client_id`".to_owned());
    }
    if secret.template().is_some_and(|secret| !secret.is_literal() && !secret.text().contains("{{")) {
        let help =
            "keep it outside: `credentials: { idp: { file: … } }`, and here `\"{{ credentials.idp }}\"`".to_owned();
        secret.warn_at_key("the client's secret is written into this file", help);
    }
    Some(Client {
        id: id.text()?.to_owned(),
        secret: secret.template(),
        authentication: match authentication.text() {
            Some("post") => ClientAuthentication::Post,
            _ => ClientAuthentication::Basic,
        },
    })
}

/// Callers' tokens and the client's secret are on that way.
fn warn_of_plain(section: &Section<'_>, url: &Url) {
    if url.scheme() == "http" && !super::auth::is_this_machine(url) {
        let help = "whoever can read what is on the way can call itself any of your callers: use `https://`".to_owned();
        section.warn("callers' tokens are sent to this endpoint without TLS", help);
    }
}
