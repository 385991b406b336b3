//! However large, slow or broken an answer is, a call ends.

use std::time::Duration;

use letterhead::outbound::{Guard, GuardOptions, OutboundFault, RetryPolicy};
use letterhead_testkit::{Answer, ScriptedApi};
use tokio::time;

use crate::support::{Scripted, get, local, options, sent};

const FIFTY_MEGABYTES: usize = 50 * 1024 * 1024;
const ONE: usize = 1024 * 1024;

/// `hello`, as gzip packs it.
const HELLO: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    for (name, answer) in [
        ("its length is in its head", Answer::large(FIFTY_MEGABYTES)),
        ("it comes in chunks", Answer::endless()),
        ("it is compressed", Answer::gzip_bomb(FIFTY_MEGABYTES)),
        ("it is one byte too large", Answer::large(ONE + 1)),
    ] {
        let api = ScriptedApi::start().await;
        api.then(answer);
        let fault = sent(&local(), get(&api.url("/secret"))).await.unwrap_err();
        assert_eq!(fault.to_string(), format!("the answer of `{}` is larger than 1048576 bytes", api.host()), "{name}");
        assert!(!fault.may_pass(), "{name}");
    }
}

#[tokio::test]
async fn a_status_is_known_however_large_its_page_is() {
    let api = ScriptedApi::start().await;
    api.then(Answer::large(ONE + 1).with_status(503));
    let answer = sent(&local(), get(&api.url("/"))).await.unwrap();
    assert!(answer.status == 503 && answer.body.is_empty() && answer.may_pass());
}

#[tokio::test]
async fn the_connection_of_a_large_answer_is_closed() {
    let api = ScriptedApi::start().await;
    api.then(Answer::endless());
    sent(&local(), get(&api.url("/"))).await.unwrap_err();
    api.left(1).await;
}

#[tokio::test]
async fn what_is_just_small_enough_is_read() {
    let api = ScriptedApi::start().await;
    let compressed = Answer::bytes("text/plain", HELLO).header("content-encoding", "gzip");
    api.then(Answer::large(ONE)).then(compressed).then(Answer::text(""));
    let client = local();
    assert_eq!(sent(&client, get(&api.url("/"))).await.unwrap().body.len(), ONE);
    assert_eq!(sent(&client, get(&api.url("/"))).await.unwrap().body, "hello");
    assert!(sent(&client, get(&api.url("/"))).await.unwrap().body.is_empty());
    assert_eq!(api.requests()[0].header("accept-encoding"), ["gzip"]);
    assert_eq!(api.connections(), 1);
}

#[tokio::test]
async fn the_bound_is_the_callers() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("0123456789"));
    let bound = |max_body| Guard { max_body, ..Guard::default() };
    assert!(local().send(&get(&api.url("/")), bound(10)).await.is_ok());
    let fault = local().send(&get(&api.url("/")), bound(9)).await.unwrap_err();
    assert!(matches!(fault, OutboundFault::TooLarge { limit: 9, .. }));
}

#[tokio::test]
async fn the_head_does_not_come() {
    let api = ScriptedApi::start().await;
    api.then(Answer::hang());
    let url = api.url("/secret");
    let running = tokio::spawn(async move { sent(&local(), get(&url)).await });
    api.received(1).await;
    time::pause();
    time::advance(Duration::from_secs(9)).await;
    assert!(!running.is_finished());
    time::advance(Duration::from_secs(2)).await;
    let fault = running.await.unwrap().unwrap_err();
    time::resume();
    assert_eq!(fault.to_string(), format!("`{}` gave no whole answer within 10s", api.host()));
    assert!(fault.may_pass() && !fault.is_before_sending());
    api.left(1).await;
}

#[tokio::test]
async fn a_body_that_trickles_for_ever_is_given_up() {
    let api = ScriptedApi::start().await;
    let (answer, tap) = Answer::live();
    api.then(answer);
    let url = api.url("/");
    let running = tokio::spawn(async move { sent(&local(), get(&url)).await });
    api.received(1).await;
    // Never silent for long, and never at an end.
    for _ in 0..9 {
        tap.send("x");
        time::pause();
        time::advance(Duration::from_secs(1)).await;
        time::resume();
    }
    assert!(!running.is_finished());
    time::pause();
    time::advance(Duration::from_secs(2)).await;
    let fault = running.await.unwrap().unwrap_err();
    time::resume();
    assert!(matches!(fault, OutboundFault::Timeout { .. }), "{fault}");
    tap.left().await;
}

#[tokio::test]
async fn redirects_share_one_time() {
    let api = ScriptedApi::start().await;
    api.then(Answer::redirect(302, "/b")).then(Answer::hang());
    let url = api.url("/a");
    let running = tokio::spawn(async move { sent(&local(), get(&url)).await });
    api.received(2).await;
    time::pause();
    time::advance(Duration::from_secs(11)).await;
    assert!(matches!(running.await.unwrap().unwrap_err(), OutboundFault::Timeout { .. }));
    time::resume();
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_is_given_up() {
    struct Silent;
    #[async_trait::async_trait]
    impl letterhead::outbound::Resolver for Silent {
        async fn resolve(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            std::future::pending().await
        }
    }
    let client = letterhead::outbound::GuardedClient::with_resolver(options(&[]), Silent).unwrap();
    let fault = sent(&client, get("http://api.test/")).await.unwrap_err();
    assert_eq!(fault.to_string(), "the call to `api.test` failed: no connection in time");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_fault() {
    for answer in [Answer::close(), Answer::cut("application/json", r#"{"secret":"#)] {
        let api = ScriptedApi::start().await;
        api.then(answer);
        let fault = sent(&local(), get(&api.url("/"))).await.unwrap_err();
        let told = format!("the call to `{}` failed: the connection ended before the answer did", api.host());
        assert_eq!(fault.to_string(), told);
        assert!(fault.may_pass() && !fault.is_before_sending());
    }
    let api = ScriptedApi::start().await;
    let (answer, tap) = Answer::live();
    api.then(answer);
    tap.send("half");
    tap.break_off();
    assert!(sent(&local(), get(&api.url("/"))).await.unwrap_err().to_string().contains("ended before the answer did"));
}

#[tokio::test]
async fn headers_without_end_are_a_fault() {
    let many = (0..200).fold(Answer::text("x"), |answer, at| answer.header(&format!("x-{at}"), "y"));
    let large = Answer::text("x").header("x-large", &"y".repeat(600_000));
    for answer in [many, large] {
        let api = ScriptedApi::start().await;
        api.then(answer);
        let fault = sent(&local(), get(&api.url("/"))).await.unwrap_err();
        let told = format!("the call to `{}` failed: the answer is not HTTP, or has too many headers", api.host());
        assert_eq!(fault.to_string(), told);
        assert!(!fault.may_pass());
    }
}

#[tokio::test]
async fn what_may_pass_is_known_with_its_wait() {
    let api = ScriptedApi::start().await;
    let policy = RetryPolicy::default();
    for (answer, waits) in [
        (Answer::status(500), true),
        (Answer::status(503).header("retry-after", "2"), true),
        (Answer::status(429).header("retry-after", "61"), false),
        (Answer::status(404), false),
        (Answer::text("x"), false),
        (Answer::close(), true),
        (Answer::large(FIFTY_MEGABYTES), false),
    ] {
        api.then(answer);
        let outcome = sent(&local(), get(&api.url("/"))).await;
        assert_eq!(policy.wait_after(0, &outcome).is_some(), waits, "{outcome:?}");
        assert_eq!(policy.wait_after(2, &outcome), None, "only so often");
    }
    let refused = sent(&local(), get("http://10.0.0.1/")).await;
    assert_eq!(policy.wait_after(0, &refused), None);
}

#[tokio::test]
async fn every_address_of_a_name_that_refuses_is_tried_in_time() {
    let resolver = Scripted::saying(&[&["127.0.0.1", "127.0.0.1"]]);
    let client = letterhead::outbound::GuardedClient::with_resolver(options(&["127.0.0.1"]), resolver).unwrap();
    let url = ScriptedApi::nowhere().await.replace("127.0.0.1", "api.test");
    let fault = sent(&client, get(&url)).await.unwrap_err();
    assert!(fault.to_string().ends_with("the connection was refused"), "{fault}");
}

/// Linux has more than one address that leads back, and drops what a full queue cannot take.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_is_silent_leaves_time_for_the_next() {
    let api = ScriptedApi::start().await;
    api.then(Answer::text("hello"));
    let silent = std::net::SocketAddr::from(([127, 0, 0, 2], api.port()));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(silent).unwrap();
    let _listener = socket.listen(1).unwrap();
    let connect = || std::net::TcpStream::connect_timeout(&silent, Duration::from_millis(50));
    let _waiting: Vec<_> = std::iter::from_fn(|| connect().ok()).collect();

    let options = GuardOptions { connect: Duration::from_secs(1), ..options(&["127.0.0.0/8"]) };
    let resolver = Scripted::saying(&[&["127.0.0.2", "127.0.0.1"]]);
    let client = letterhead::outbound::GuardedClient::with_resolver(options, resolver).unwrap();
    let answer = sent(&client, get(&format!("http://api.test:{}/", api.port()))).await.unwrap();
    assert_eq!(answer.body, "hello");
}
