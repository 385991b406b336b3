//! What a name leads to decides, when the connection is made.

use letterhead::outbound::{GuardedClient, OutboundFault, Refused};
use letterhead_testkit::{Answer, ScriptedApi};

use crate::support::{Scripted, client, get, options, sent, text};

/// A client that may go to 127.0.0.1 as if it were the internet, and a resolver that says this.
fn resolving(allow: &[&str], answers: &[&[&str]]) -> (GuardedClient, std::sync::Arc<Scripted>) {
    let resolver = Scripted::saying(answers);
    (GuardedClient::with_resolver(options(allow), resolver.clone()).unwrap(), resolver)
}

#[tokio::test]
async fn a_name_that_leads_to_a_refused_address_is_refused() {
    for (address, kind) in [
        ("127.0.0.1", "a loopback address"),
        ("10.0.0.1", "a private address"),
        ("169.254.169.254", "a cloud's metadata address"),
        ("100.64.0.1", "an address behind a provider's translation"),
        ("0.0.0.0", "an unspecified address"),
        ("224.0.0.1", "a multicast address"),
        ("::1", "a loopback address"),
        ("::ffff:10.0.0.1", "a private address"),
        ("64:ff9b::a9fe:a9fe", "a cloud's metadata address"),
        ("fd00::1", "a private address"),
        ("fe80::1", "a link-local address"),
    ] {
        let (client, resolver) = resolving(&[], &[&[address]]);
        let fault = sent(&client, get("http://api.test:8080/secret?secret")).await.unwrap_err();
        assert_eq!(
            fault.to_string(),
            format!("the name `api.test` leads to {kind}, where calls out do not go unless `egress.allow` lists it")
        );
        assert!(matches!(fault, OutboundFault::Refused(Refused::Resolved { .. })));
        assert!(!fault.may_pass(), "asking again would not help");
        assert_eq!(resolver.asked(), ["api.test"]);
    }
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("hello").header("connection", "close"));
    // First an address that may be called, then one that may not: the name is bound anew between two calls.
    let (client, resolver) = resolving(&["127.0.0.1"], &[&["127.0.0.1"], &["127.0.0.2"], &["169.254.169.254"]]);
    let url = format!("http://api.test:{}/", api.port());
    assert_eq!(text(&client, get(&url)).await, "hello");
    assert_eq!(resolver.asked().len(), 1, "nobody asks a second time between the check and the connection");
    for kind in ["a loopback address", "a cloud's metadata address"] {
        let fault = sent(&client, get(&url)).await.unwrap_err();
        assert!(fault.to_string().contains(kind), "{fault}");
    }
    assert_eq!((resolver.asked().len(), api.requests().len()), (3, 1));
}

#[tokio::test]
async fn a_redirect_is_checked_like_any_other_call() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::redirect(302, "/again").header("connection", "close"));
    let (client, _) = resolving(&["127.0.0.1"], &[&["127.0.0.1"], &["10.0.0.1"]]);
    let fault = sent(&client, get(&format!("http://api.test:{}/", api.port()))).await.unwrap_err();
    assert!(fault.to_string().contains("redirects to a place where calls out do not go"), "{fault}");
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_called() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("hello"));
    let (client, _) = resolving(&["127.0.0.1"], &[&["169.254.169.254", "10.0.0.1", "127.0.0.1", "::1"]]);
    assert_eq!(text(&client, get(&format!("http://api.test:{}/", api.port()))).await, "hello");
}

#[tokio::test]
async fn a_listed_name_may_have_any_address_on_its_port() {
    let (api, beside) = (ScriptedApi::start().await, ScriptedApi::start().await);
    api.always(|_| Answer::text("hello"));
    let listed = format!("crm.test:{}", api.port());
    let (client, _) = resolving(&[&listed], &[&["127.0.0.1"], &["127.0.0.1"]]);
    assert_eq!(text(&client, get(&format!("http://crm.test:{}/", api.port()))).await, "hello");
    let fault = sent(&client, get(&format!("http://crm.test:{}/", beside.port()))).await.unwrap_err();
    assert!(fault.to_string().contains("`crm.test` leads to a loopback address"), "{fault}");
    assert_eq!(beside.connections(), 0);
}

#[tokio::test]
async fn a_name_without_an_address_is_told() {
    let (client, _) = resolving(&[], &[&[]]);
    for _ in ["no address", "no answer"] {
        let fault = sent(&client, get("http://api.test/")).await.unwrap_err();
        assert_eq!(fault.to_string(), "the call to `api.test` failed: its name has no address");
        assert!(fault.may_pass() && fault.is_before_sending(), "{fault}");
    }
    // The operating system, about a name that never has an address (RFC 6761).
    let fault = sent(&client_of_the_system(), get("http://api.invalid/")).await.unwrap_err();
    assert_eq!(fault.to_string(), "the call to `api.invalid` failed: its name has no address");
}

fn client_of_the_system() -> GuardedClient {
    client(&[])
}

#[tokio::test]
async fn an_address_in_a_url_is_not_asked_of_the_resolver() {
    let (client, resolver) = resolving(&[], &[&["9.9.9.9"]]);
    for url in ["http://127.0.0.1/", "http://0x7f.1/", "http://[::1]/", "http://localhost/", "http://x.localhost./"] {
        assert!(sent(&client, get(url)).await.unwrap_err().to_string().contains("a loopback address"), "{url}");
    }
    assert!(resolver.asked().is_empty());
}
