use http::HeaderValue;
use letterhead_context::{HeaderSchema, Scope};
use letterhead_store::SystemClock;
use serde_json::json;
use zeroize::Zeroizing;

use super::*;
use crate::outbound::{RetryPolicy, Timeouts};
use crate::token_exchange::{ClientAuthentication, SubjectTokenType, TokenExchange, prepare_exchange};

const NOW: i64 = 1_000_000_000;

fn used_for(lifetime: Option<i64>, own: Option<i64>, subject: Option<i64>) -> i64 {
    let issued = Issued {
        header: HeaderValue::from_static("Bearer t"),
        text: Zeroizing::new("t".to_owned()),
        lifetime,
        expires_at: own.map(|seconds| NOW / 1000 + seconds),
    };
    let subject = SubjectToken::new("s", subject.map(|seconds| NOW / 1000 + seconds));
    until_ms(NOW, &issued, &subject) - NOW
}

#[test]
fn a_token_is_used_until_shortly_before_its_end() {
    assert_eq!(used_for(Some(3600), None, None), 3_540_000, "a minute before");
    assert_eq!(used_for(Some(300), None, None), 240_000);
    assert_eq!(used_for(Some(10), None, None), 8_000, "a fifth of a short one");
    assert_eq!(used_for(Some(0), None, None), 0);
    assert_eq!(used_for(Some(i64::MAX), None, None), 86_340_000, "a day at most");
    assert_eq!(used_for(None, None, None), 48_000, "nobody said: not for long");
    assert_eq!(used_for(None, Some(300), None), 240_000, "by its own words");
    assert_eq!(used_for(Some(300), Some(10), None), 8_000, "the earlier of both");
    assert_eq!(used_for(None, Some(-10), None), 0);
}

#[test]
fn a_token_never_outlives_the_one_it_was_traded_for() {
    assert_eq!(used_for(Some(3600), None, Some(5)), 5_000);
    assert_eq!(used_for(Some(3600), None, Some(-1)), -1_000);
    assert_eq!(used_for(Some(300), None, Some(3600)), 240_000);
    assert_eq!(used_for(Some(i64::MAX), None, Some(i64::MAX - NOW)), 86_340_000);
}

/// A registry gives each destination a name of its own and one exchange, so that the name alone would tell tokens apart
/// there. The key does not lean on that: whatever decides which token comes back is a part of it by itself.
#[test]
fn a_token_is_shared_by_those_alone_who_ask_for_the_same() {
    let client = TrustedClient::new(Timeouts::default(), RetryPolicy::default()).unwrap();
    let tokens = Tokens::new(client, Arc::new(SystemClock), Arc::new(Fingerprints::new(None).unwrap()));
    let schema = HeaderSchema::compile(&json!({})).unwrap();
    let key = |destination: &str, exchange: TokenExchange, subject: &str| {
        let prepared =
            prepare_exchange(&exchange, &destination.into(), std::iter::empty(), Scope::of(&schema)).unwrap();
        tokens.key(&prepared, &SubjectToken::new(subject, None))
    };
    let at = |path: &str| TokenExchange::new(format!("https://id.example.com/{path}")).with_public_client("letterhead");
    let orders = || at("token").with_audience("orders").with_scope("read");
    let resource = "https://orders.example.com";
    let keys = [
        ("the exchange", key("tools.orders", orders(), "ada")),
        ("another caller", key("tools.orders", orders(), "bob")),
        ("another destination", key("tools.billing", orders(), "ada")),
        ("another audience", key("tools.orders", orders().with_audience("billing"), "ada")),
        ("another scope", key("tools.orders", orders().with_scope("read write"), "ada")),
        ("no scope", key("tools.orders", at("token").with_audience("orders"), "ada")),
        ("a resource too", key("tools.orders", orders().with_resource(resource), "ada")),
        ("another client", key("tools.orders", orders().with_public_client("desk"), "ada")),
        (
            "another kind of subject",
            key("tools.orders", orders().with_subject_token_type(SubjectTokenType::IdToken), "ada"),
        ),
        ("another endpoint", key("tools.orders", at("other").with_audience("orders").with_scope("read"), "ada")),
        // The same letters, but for the place where one part ends.
        ("parts cut elsewhere", key("tools.orders", orders().with_audience("ordersr").with_scope("ead"), "ada")),
    ];
    for (place, (what, one)) in keys.iter().enumerate() {
        for (other, another) in &keys[..place] {
            assert_ne!(one, another, "{what}, {other}");
        }
    }
    // How the client shows its secret and how long it waits make no other token.
    let basic = orders().with_client("letterhead", "s", ClientAuthentication::Basic);
    let same = [orders(), basic, orders().with_timeout(std::time::Duration::from_secs(1))];
    assert!(same.into_iter().all(|exchange| key("tools.orders", exchange, "ada") == keys[0].1));
}
