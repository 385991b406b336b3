//! Answers that stream, under the same guard.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use letterhead::TraceContext;
use letterhead::outbound::{Fault, OutboundFault, StreamGuard};
use letterhead_testkit::{Answer, ScriptedApi};
use tokio::time;

use crate::support::{client, get, local};

#[tokio::test]
async fn the_head_comes_before_the_body() {
    let api = ScriptedApi::start().await;
    let (answer, tap) = Answer::live();
    api.then(answer);
    let mut answer = local().open(&get(&api.url("/")), StreamGuard::default()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.headers["content-type"].as_bytes()), (200, &b"text/event-stream"[..]));
    assert!(answer.body.next().now_or_never().is_none());
    for piece in ["one", "two"] {
        tap.send(piece);
        assert_eq!(answer.body.next().await.unwrap().unwrap(), piece);
    }
    tap.end();
    assert!(answer.body.next().await.is_none());
}

#[tokio::test]
async fn silence_ends_it() {
    let api = ScriptedApi::start().await;
    let (answer, tap) = Answer::live();
    api.then(answer);
    let mut answer = local().open(&get(&api.url("/")), StreamGuard::default()).await.unwrap();
    for _ in 0..3 {
        assert!(answer.body.next().now_or_never().is_none());
        time::pause();
        time::advance(Duration::from_secs(59)).await;
        time::resume();
        tap.send("x");
        assert_eq!(answer.body.next().await.unwrap().unwrap(), "x", "late, but in time");
    }
    assert!(answer.body.next().now_or_never().is_none());
    time::pause();
    time::advance(Duration::from_secs(61)).await;
    assert_eq!(answer.body.next().await.unwrap(), Err(Fault::IdleTimeout));
    time::resume();
    drop(answer);
    tap.left().await;
}

#[tokio::test]
async fn the_head_does_not_come() {
    let api = ScriptedApi::start().await;
    api.then(Answer::hang());
    let url = api.url("/");
    let running = tokio::spawn(async move { local().open(&get(&url), StreamGuard::default()).await.map(drop) });
    api.received(1).await;
    time::pause();
    time::advance(Duration::from_secs(31)).await;
    let fault = running.await.unwrap().unwrap_err();
    time::resume();
    assert_eq!(fault.to_string(), format!("the call to `{}` failed: no answer in time", api.host()));
}

#[tokio::test]
async fn the_guard_is_the_same() {
    let api = ScriptedApi::start().await;
    let refused = client(&[]).open(&get(&api.url("/")), StreamGuard::default()).await.map(drop).unwrap_err();
    assert!(matches!(refused, OutboundFault::Refused(_)));
    assert_eq!(api.connections(), 0);

    api.on("/a").always(|_| Answer::redirect(302, "http://169.254.169.254/"));
    let redirected = local().open(&get(&api.url("/a")), StreamGuard::default()).await.map(drop).unwrap_err();
    assert!(redirected.to_string().contains("redirects to another origin"), "{redirected}");

    api.on("/b").always(|_| Answer::redirect(307, "/c"));
    api.on("/c").always(|_| Answer::endless());
    let trace = Some(TraceContext::start([1; 16]));
    let answer = local().open(&get(&api.url("/b")), StreamGuard { trace, ..StreamGuard::default() }).await.unwrap();
    assert!(api.last().header("traceparent").concat().contains("0101"));
    assert_eq!(answer.body.read(1000).await, Err(Fault::TooLarge));
    api.left(1).await;
}
