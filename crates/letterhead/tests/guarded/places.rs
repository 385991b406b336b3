//! Where calls go, and where not.

use letterhead::outbound::{OutboundFault, Refused};
use letterhead_testkit::{Answer, ScriptedApi};
use serde_json::json;

use crate::support::{client, get, local, sent, text};

#[tokio::test]
async fn no_spelling_of_a_server_here_reaches_it() {
    let api = ScriptedApi::start().await;
    let client = client(&[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "a.localhost",
        "[::ffff:127.0.0.1]",
    ] {
        let fault = sent(&client, get(&format!("http://{host}:{}/secret?secret", api.port()))).await.unwrap_err();
        assert!(matches!(fault, OutboundFault::Refused(Refused::Address { .. })), "{host}: {fault}");
        assert!(fault.to_string().contains("`egress.allow`") && !fault.to_string().contains("secret"), "{fault}");
        assert!(!fault.may_pass() && fault.is_before_sending(), "{host}");
    }
    assert_eq!(api.connections(), 0);
}

#[tokio::test]
async fn what_is_allowed_is_reached() {
    let api = ScriptedApi::start().await;
    api.on("/me").json(&json!({"name": "Ada"}));
    let port = api.port();
    for (allow, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.0/8", "127.1"),
        ("127.0.0.0/8", "localhost"),
        (&*format!("127.0.0.1:{port}"), "2130706433"),
        (&*format!("localhost:{port}"), "LOCALHOST"),
        ("localhost", "localhost"),
    ] {
        let client = client(&[allow]);
        assert_eq!(
            text(&client, get(&format!("http://{host}:{port}/me"))).await,
            r#"{"name":"Ada"}"#,
            "{allow}, {host}"
        );
    }
}

#[tokio::test]
async fn a_port_beside_the_listed_one_is_not_reached() {
    let (listed, beside) = (ScriptedApi::start().await, ScriptedApi::start().await);
    listed.always(|_| Answer::text("listed"));
    let client = client(&[&format!("localhost:{}", listed.port()), &format!("127.0.0.1:{}", listed.port())]);
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(text(&client, get(&format!("http://{host}:{}/", listed.port()))).await, "listed");
        let fault = sent(&client, get(&format!("http://{host}:{}/", beside.port()))).await.unwrap_err();
        assert!(fault.to_string().contains("is a loopback address"), "{fault}");
    }
    assert_eq!(beside.connections(), 0);
}

#[tokio::test]
async fn nobody_listens() {
    let fault = sent(&local(), get(&format!("{}/secret", ScriptedApi::nowhere().await))).await.unwrap_err();
    let told = fault.to_string();
    assert!(
        told.starts_with("the call to `127.0.0.1:") && told.ends_with("` failed: the connection was refused"),
        "{told}"
    );
    assert!(fault.may_pass() && fault.is_before_sending());
}

#[tokio::test]
async fn what_speaks_no_tls_is_told() {
    let api = ScriptedApi::start().await;
    let fault = sent(&local(), get(&api.url("/").replace("http:", "https:"))).await.unwrap_err();
    assert!(fault.to_string().contains("no secure connection"), "{fault}");
}
