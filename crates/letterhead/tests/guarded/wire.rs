//! What goes over the wire, and over which connection.

use letterhead::TraceContext;
use letterhead::outbound::Guard;
use letterhead_testkit::{Answer, ScriptedApi};

use crate::support::{get, local, post, sent, text, with_header};

#[tokio::test]
async fn nothing_is_sent_but_what_was_given() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("x").header("set-cookie", "id=1"));
    let client = local();
    for _ in 0..2 {
        text(&client, with_header(get(&api.url("/a%2Fb/%C3%BC?q=%20&r=+")), "x-token", "t_1")).await;
        let seen = api.last();
        assert_eq!((&*seen.method, &*seen.path), ("GET", "/a%2Fb/%C3%BC?q=%20&r=+"));
        assert_eq!(seen.header_names(), ["accept", "accept-encoding", "host", "user-agent", "x-token"]);
        assert_eq!(seen.header("host"), [api.host()]);
    }
    text(&client, post(&api.url("/"), "{}")).await;
    let names = ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"];
    assert_eq!(api.last().header_names(), names);
}

#[tokio::test]
async fn what_was_given_is_sent_once() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("x"));
    let request = with_header(with_header(get(&api.url("/")), "user-agent", "mine"), "accept", "application/json");
    text(&local(), request).await;
    assert_eq!(api.last().header("user-agent"), ["mine"]);
    assert_eq!(api.last().header("accept"), ["application/json"]);
}

#[tokio::test]
async fn a_connection_is_used_again_by_every_clone_and_whatever_the_status() {
    let api = ScriptedApi::start().await;
    let client = local();
    for status in [200, 404, 500, 200] {
        api.then(Answer::text("x").with_status(status));
        assert_eq!(sent(&client.clone(), get(&api.url("/"))).await.unwrap().status, status);
    }
    assert_eq!(api.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_the_other_side_closed_is_made_anew() {
    let api = ScriptedApi::start().await;
    let client = local();
    api.then(Answer::text("one").header("connection", "close")).then(Answer::text("two"));
    assert_eq!(text(&client, get(&api.url("/"))).await, "one");
    assert_eq!(text(&client, get(&api.url("/"))).await, "two");
    assert_eq!(api.connections(), 2);
}

#[tokio::test]
async fn a_call_is_a_span_of_its_trace_and_so_is_each_redirect() {
    let api = ScriptedApi::start().await;
    api.on("/a").then(Answer::redirect(302, "/b"));
    api.on("/b").always(|_| Answer::text("x"));
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = TraceContext::parse(sent);
    local().send(&get(&api.url("/a")), Guard { trace, ..Guard::default() }).await.unwrap();
    let seen: Vec<String> = api.requests().iter().map(|request| request.header("traceparent").concat()).collect();
    assert!(
        seen.iter().all(|header| header.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && header.ends_with("-01"))
    );
    assert_eq!(seen.len(), 2);
    assert!(seen[0] != seen[1] && seen[0] != sent, "each hop is a span of its own: {seen:?}");

    local().send(&get(&api.url("/b")), Guard::default()).await.unwrap();
    assert!(api.last().header("traceparent").is_empty(), "no trace, no header");
    let own = with_header(get(&api.url("/b")), "traceparent", "00-ff");
    local().send(&own, Guard { trace, ..Guard::default() }).await.unwrap();
    assert_eq!(api.last().header("traceparent"), ["00-ff"], "a configured header has the last word");
}

#[tokio::test]
async fn nothing_of_an_answer_or_a_request_is_in_debug() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("secret").header("x-secret", "secret"));
    let answer = sent(&local(), with_header(get(&api.url("/secret")), "x-secret", "secret")).await.unwrap();
    assert_eq!(answer.body, "secret");
    assert_eq!(format!("{answer:?}"), "WholeAnswer { status: 200, bytes: 6, .. }");
}
