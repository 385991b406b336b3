//! Where clients find who issues tokens for this server (RFC 9728): MCP clients start from a 401 that names it.

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

/// The path of the document; `/mcp` behind it asks for that endpoint's own.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What the document says, if there is one: an issuer that has an address.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    issuer: Option<String>,
    public_url: Option<String>,
}

/// How a request reached the server, for addresses that go back to its client.
#[derive(Clone, Debug)]
pub struct Reached {
    host: Option<HeaderValue>,
    scheme: Option<HeaderValue>,
}

impl Reached {
    /// By what the request says. A client that lies gets a wrong address back, and nobody else does.
    pub fn by(headers: &HeaderMap) -> Self {
        Self { host: headers.get(header::HOST).cloned(), scheme: headers.get("x-forwarded-proto").cloned() }
    }

    fn origin(&self) -> Option<String> {
        let host = self.host.as_ref()?.to_str().ok()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let scheme = match self.scheme.as_ref().map(HeaderValue::as_bytes) {
            Some(b"https") => "https",
            _ => "http",
        };
        (!host.is_empty() && host.bytes().all(plain)).then(|| format!("{scheme}://{host}"))
    }
}

impl Metadata {
    /// By the issuer of tokens, if there is one, and the address that the operator has given the server, if any.
    pub(super) fn new(issuer: Option<&str>, public_url: Option<&str>) -> Self {
        let is_address = |issuer: &&str| issuer.starts_with("https://") || issuer.starts_with("http://");
        Self { issuer: issuer.filter(is_address).map(str::to_owned), public_url: public_url.map(str::to_owned) }
    }

    /// The address of the document for a request to this path.
    pub fn address(&self, path: &str, reached: &Reached) -> Option<String> {
        self.issuer.as_ref()?;
        let below = if path == "/mcp" || path.starts_with("/mcp/") { "/mcp" } else { "" };
        Some(format!("{}{WELL_KNOWN}{below}", self.base(reached)?))
    }

    /// The document of the endpoint at this path: `/mcp`, or nothing for the whole server.
    pub fn document(&self, path: &str, reached: &Reached) -> Option<Value> {
        let issuer = self.issuer.as_ref()?;
        Some(json!({
            "resource": format!("{}{path}", self.base(reached)?),
            "authorization_servers": [issuer],
            "bearer_methods_supported": ["header"],
        }))
    }

    /// Has the operator said by which address clients reach the server?
    pub fn has_public_url(&self) -> bool {
        self.public_url.is_some()
    }

    /// The server's own address for a client that reached it so: the operator's word, else what the request says.
    pub fn base(&self, reached: &Reached) -> Option<String> {
        self.public_url.clone().or_else(|| reached.origin())
    }
}
