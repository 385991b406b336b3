//! An agent's card: where it is spoken to, in which version, and whether its answers stream.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, header};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::dialect::Version;
use crate::outbound::Url;
use crate::tool::endpoint::Line;
use crate::tool::json_rpc::AskFault;

/// The longest that a card is believed.
const BELIEVED: Duration = Duration::from_secs(5 * 60);

/// Where a card is, below the agent's address.
const PLACE: &str = ".well-known/agent-card.json";

/// What matters of a card: the way in that is taken.
#[derive(Debug, PartialEq)]
pub(super) struct Interface {
    pub(super) url: Url,
    pub(super) version: Version,
    /// What the card wants said with each request: the agent's own matter, and nobody's identity.
    pub(super) tenant: Option<String>,
    pub(super) streams: bool,
}

/// A way in, and whether the card was asked for just now.
pub(super) struct Believed {
    pub(super) interface: Arc<Interface>,
    pub(super) is_fresh: bool,
}

/// The card of an agent, as one caller has it.
#[derive(Debug, Default)]
pub(crate) struct KeptCard(Mutex<Option<(Instant, Arc<Interface>)>>);

impl KeptCard {
    /// The way in, by the card or by what is kept of it. Asked for once, however many ask at the same time.
    ///
    /// `not` is one that proved wrong: then the card is asked for anew.
    pub(super) async fn interface(
        &self,
        line: &Line,
        address: &Url,
        limit: Duration,
        not: Option<&Arc<Interface>>,
    ) -> Result<Believed, AskFault> {
        let mut kept = self.0.lock().await;
        if let Some((until, interface)) = &*kept
            && Instant::now() < *until
            && not.is_none_or(|not| !Arc::ptr_eq(not, interface))
        {
            return Ok(Believed { interface: Arc::clone(interface), is_fresh: false });
        }
        *kept = None;
        let (card, headers) = line.card(of(address), limit).await?;
        let interface = Arc::new(choose(&card, address).inspect_err(log)?);
        *kept = Some((Instant::now() + believed(&headers), Arc::clone(&interface)));
        Ok(Believed { interface, is_fresh: true })
    }
}

/// Where the card of an agent at this address is. An address that names a JSON document names the card itself.
pub(super) fn of(address: &Url) -> Url {
    let mut url = address.clone();
    if !url.path().ends_with(".json") {
        let path = format!("{}/{PLACE}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    url
}

/// How long a card holds, by its own words.
fn believed(headers: &HeaderMap) -> Duration {
    let words = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut believed = BELIEVED;
    for word in words.flat_map(|value| value.split(',')).map(str::trim) {
        if word.eq_ignore_ascii_case("no-store") || word.eq_ignore_ascii_case("no-cache") {
            return Duration::ZERO;
        }
        if let Some(seconds) = word.strip_prefix("max-age=").and_then(|seconds| seconds.parse().ok()) {
            believed = believed.min(Duration::from_secs(seconds));
        }
    }
    believed
}

/// Tells the operator the origin that a card has to name. What the card says is not repeated.
fn log(fault: &AskFault) {
    if let AskFault::OtherOrigin(expected) = fault {
        tracing::warn!(expected, "an external agent's card names an interface at another origin: {fault}");
    }
}

/// The way in that is taken: by JSON-RPC, at the configured origin, in the newest version; the first of several.
fn choose(card: &Value, address: &Url) -> Result<Interface, AskFault> {
    if !card.is_object() {
        return Err(AskFault::Malformed("its card is no JSON object"));
    }
    let offered = offered(card);
    let streams = card.pointer("/capabilities/streaming").and_then(Value::as_bool).unwrap_or(false);
    let mut fault = AskFault::Malformed("its card names no interface that is spoken here: A2A 1.0 or 0.3 by JSON-RPC");
    let mut chosen: Option<Interface> = None;
    for Offered { url, version, tenant } in offered {
        let Ok(mut url) = Url::parse(url) else {
            fault = AskFault::Malformed("its card names an interface without a whole address");
            continue;
        };
        if url.origin() != address.origin() || !url.username().is_empty() || url.password().is_some() {
            fault = AskFault::OtherOrigin(address.origin().ascii_serialization());
            continue;
        }
        url.set_fragment(None);
        if chosen.as_ref().is_none_or(|chosen| chosen.version == Version::Zero3 && version == Version::One) {
            chosen = Some(Interface { url, version, tenant, streams });
        }
    }
    chosen.ok_or(fault)
}

struct Offered<'a> {
    url: &'a str,
    version: Version,
    tenant: Option<String>,
}

/// What the card offers that is spoken here: in the words of 1.0, then in those of 0.3.
fn offered(card: &Value) -> Vec<Offered<'_>> {
    fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
        of.get(name).and_then(Value::as_str)
    }
    fn all<'a>(card: &'a Value, name: &str) -> &'a [Value] {
        card.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
    let is_spoken = |name: &str| name.eq_ignore_ascii_case("JSONRPC");
    let mut offered = Vec::new();
    for interface in all(card, "supportedInterfaces") {
        let version = Version::named(text(interface, "protocolVersion").unwrap_or("1.0"));
        if let (Some(url), Some(version)) = (text(interface, "url"), version)
            && text(interface, "protocolBinding").is_some_and(is_spoken)
        {
            let tenant = text(interface, "tenant").filter(|tenant| !tenant.is_empty()).map(str::to_owned);
            offered.push(Offered { url, version, tenant });
        }
    }
    // A card of 0.3 says one version for all its interfaces, and has the preferred one beside them.
    let version = card.get("protocolVersion").map(|version| version.as_str().and_then(Version::named));
    if matches!(version, None | Some(Some(Version::Zero3))) {
        let preferred = (text(card, "url"), text(card, "preferredTransport").unwrap_or("JSONRPC"));
        let others = all(card, "additionalInterfaces").iter();
        let others = others.map(|other| (text(other, "url"), text(other, "transport").unwrap_or_default()));
        for (url, transport) in std::iter::once(preferred).chain(others) {
            let url = url.filter(|_| is_spoken(transport));
            offered.extend(url.map(|url| Offered { url, version: Version::Zero3, tenant: None }));
        }
    }
    offered
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn chosen(card: &Value) -> Result<(String, Version), String> {
        let address = Url::parse("https://legal.example.com/agents/legal").unwrap();
        let interface = choose(card, &address).map_err(|fault| fault.to_string())?;
        Ok((interface.url.to_string(), interface.version))
    }

    fn one(url: &str, binding: &str, version: &str) -> Value {
        json!({ "url": url, "protocolBinding": binding, "protocolVersion": version })
    }

    #[test]
    fn the_newest_version_by_json_rpc_is_taken() {
        let base = "https://legal.example.com";
        let card = json!({
            "supportedInterfaces": [
                one(&format!("{base}/grpc"), "GRPC", "1.0"), one(&format!("{base}/old"), "JSONRPC", "0.3"),
                one(&format!("{base}/new"), "JSONRPC", "1.0"), one(&format!("{base}/other"), "JSONRPC", "1.0"),
            ],
            "protocolVersion": "0.3.0", "url": format!("{base}/oldest"),
        });
        assert_eq!(chosen(&card).unwrap(), (format!("{base}/new"), Version::One));
    }

    #[test]
    fn a_card_of_the_older_version_is_understood() {
        let base = "https://legal.example.com";
        let card = json!({ "protocolVersion": "0.3.0", "url": format!("{base}/rpc") });
        assert_eq!(chosen(&card).unwrap(), (format!("{base}/rpc"), Version::Zero3));
        let card = json!({
            "url": format!("{base}/grpc"), "preferredTransport": "GRPC",
            "additionalInterfaces": [{ "url": format!("{base}/rpc"), "transport": "JSONRPC" }],
        });
        assert_eq!(chosen(&card).unwrap(), (format!("{base}/rpc"), Version::Zero3));
    }

    #[test]
    fn an_interface_at_another_origin_is_not_taken() {
        for url in [
            "https://evil.example.com/a2a",
            "http://legal.example.com/a2a",
            "https://legal.example.com:8443/a2a",
            "https://legal.example.com@evil.example.com/",
            "https://me@legal.example.com/a2a",
            "https://me:pw@legal.example.com/a2a",
            "file:///etc/passwd",
            "javascript:1",
        ] {
            for card in [json!({ "supportedInterfaces": [one(url, "JSONRPC", "1.0")] }), json!({ "url": url })] {
                let told = chosen(&card).unwrap_err();
                assert!(told.contains("at another origin than the configured one,"), "{url}: {told}");
                assert!(!told.contains("evil") && !told.contains("pw"), "what the card says is not repeated: {told}");
            }
        }
        let both = json!({ "supportedInterfaces": [
            one("https://evil.example.com/a2a", "JSONRPC", "1.0"), one("https://legal.example.com/a2a", "JSONRPC", "0.3"),
        ] });
        assert_eq!(chosen(&both).unwrap().1, Version::Zero3);
    }

    #[test]
    fn what_is_no_card_is_a_fault() {
        for card in [
            json!([]),
            json!("card"),
            json!({}),
            json!({ "supportedInterfaces": "none" }),
            json!({ "supportedInterfaces": [7, {}, one("https://legal.example.com", "GRPC", "1.0")] }),
            json!({ "supportedInterfaces": [one("https://legal.example.com", "JSONRPC", "2.0")] }),
            json!({ "protocolVersion": "0.2.0", "url": "https://legal.example.com" }),
            json!({ "supportedInterfaces": [one("/a2a", "JSONRPC", "1.0")] }),
        ] {
            assert!(chosen(&card).is_err(), "{card}");
        }
    }

    #[test]
    fn the_card_is_below_the_address() {
        for (address, card) in [
            ("https://a.example.com", "https://a.example.com/.well-known/agent-card.json"),
            ("https://a.example.com/x/", "https://a.example.com/x/.well-known/agent-card.json"),
            ("https://a.example.com/cards/legal.json", "https://a.example.com/cards/legal.json"),
        ] {
            assert_eq!(of(&Url::parse(address).unwrap()).as_str(), card);
        }
    }

    #[test]
    fn a_card_is_believed_as_long_as_it_says_and_no_longer_than_five_minutes() {
        let for_seconds = |value: &'static str| {
            let headers = [(header::CACHE_CONTROL, HeaderValue::from_static(value))].into_iter().collect();
            believed(&headers).as_secs()
        };
        for (value, seconds) in
            [("max-age=60", 60), ("public, max-age=86400", 300), ("no-cache", 0), ("max-age=-1", 300), ("", 300)]
        {
            assert_eq!(for_seconds(value), seconds, "{value}");
        }
    }
}
