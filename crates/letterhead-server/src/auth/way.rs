//! The ways to be known here, as an agent card tells them to clients.

/// A credential that this server reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What a card calls it.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// The header that holds it. None for `Authorization: Bearer`.
    pub key_header: Option<&'static str>,
    /// What form it has, where that is known.
    pub format: Option<&'static str>,
}

/// The ways of a server that reads these.
pub(super) fn ways(tokens: bool, keys: bool, key_header: bool) -> Vec<Way> {
    let token = Way {
        name: "token",
        description: "A token of the issuer that this server trusts.",
        key_header: None,
        format: Some("JWT"),
    };
    let key = Way { name: "apiKey", description: "An API key of this server.", key_header: None, format: None };
    let key = if key_header { Way { key_header: Some("X-Api-Key"), ..key } } else { key };
    [tokens.then_some(token), keys.then_some(key)].into_iter().flatten().collect()
}
