//! Redirects stay within their origin, and are few.

use letterhead::outbound::{OutboundFault, RedirectFault};
use letterhead_testkit::{Answer, ScriptedApi};

use crate::support::{get, local, post, sent, text, with_header};

#[tokio::test]
async fn three_in_a_row_are_followed_with_all_that_was_sent() {
    let api = ScriptedApi::start().await;
    api.on("/0").then(Answer::redirect(301, "/1?a=b"));
    api.on("/1").then(Answer::redirect(307, &api.url("/2#part")));
    api.on("/2").then(Answer::redirect(303, "3"));
    api.on("/3").then(Answer::text("here"));
    assert_eq!(text(&local(), with_header(get(&api.url("/0")), "x-token", "t_1")).await, "here");
    let seen = api.requests();
    assert_eq!(seen.iter().map(|request| &*request.path).collect::<Vec<_>>(), ["/0", "/1?a=b", "/2", "/3"]);
    assert!(seen.iter().all(|request| request.method == "GET" && request.header("x-token") == ["t_1"]));
    assert_eq!(api.connections(), 1);
}

#[tokio::test]
async fn a_fourth_is_not() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::redirect(302, "/round"));
    let fault = sent(&local(), get(&api.url("/round"))).await.unwrap_err();
    assert_eq!(fault.to_string(), format!("`{}` redirects more than 3 times", api.host()));
    assert_eq!(api.requests().len(), 4);
}

#[tokio::test]
async fn another_origin_is_not_called() {
    let (api, other) = (ScriptedApi::start().await, ScriptedApi::start().await);
    other.always(|_| Answer::text("you should not be here"));
    let port = api.port();
    for target in [
        other.url("/secret"),
        format!("http://localhost:{port}/secret"),
        format!("https://127.0.0.1:{port}/secret"),
        "http://169.254.169.254/latest/secret".to_owned(),
        format!("http://127.0.0.1:{port}@169.254.169.254/secret"),
        "//10.0.0.1/secret".to_owned(),
        "file:///etc/secret".to_owned(),
    ] {
        api.then(Answer::redirect(302, &target));
        let fault = sent(&local(), with_header(get(&api.url("/secret")), "x-api-key", "secret")).await.unwrap_err();
        assert!(
            matches!(fault, OutboundFault::Redirect { fault: RedirectFault::OtherOrigin, .. }),
            "{target}: {fault}"
        );
        assert!(!fault.may_pass() && !fault.to_string().contains("secret"), "{fault}");
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_the_same_origin_with_a_password_is_refused() {
    let api = ScriptedApi::start().await;
    api.then(Answer::redirect(302, &format!("http://user:secret@{}/", api.host())));
    let fault = sent(&local(), get(&api.url("/"))).await.unwrap_err();
    assert!(fault.to_string().contains("redirects to a place where calls out do not go"), "{fault}");
    assert!(!fault.to_string().contains("secret"), "{fault}");
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn a_post_is_made_again_only_where_it_is_asked_for() {
    for status in [307, 308] {
        let api = ScriptedApi::start().await;
        api.on("/a").then(Answer::redirect(status, "/b"));
        api.on("/b").then(Answer::text("done"));
        assert_eq!(text(&local(), post(&api.url("/a"), r#"{"a":1}"#)).await, "done");
        let last = api.last();
        assert_eq!((&*last.method, &*last.body), ("POST", &br#"{"a":1}"#[..]));
        assert_eq!(last.header("content-type"), ["application/json"]);
    }
}

#[tokio::test]
async fn the_outcome_of_a_post_is_fetched_without_its_body() {
    let api = ScriptedApi::start().await;
    api.on("/a").then(Answer::redirect(303, "/b"));
    api.on("/b").then(Answer::text("done"));
    assert_eq!(text(&local(), with_header(post(&api.url("/a"), r#"{"a":1}"#), "x-token", "t_1")).await, "done");
    let last = api.last();
    assert_eq!((&*last.method, &*last.body), ("GET", &b""[..]));
    assert_eq!(last.header("x-token"), ["t_1"]);
    assert!(last.header("content-type").is_empty() && last.header("content-length").is_empty());
}

#[tokio::test]
async fn a_post_that_would_have_to_be_guessed_is_not_made_again() {
    for status in [301, 302] {
        let api = ScriptedApi::start().await;
        api.always(move |_| Answer::redirect(status, "/b"));
        let fault = sent(&local(), post(&api.url("/a"), "{}")).await.unwrap_err();
        let told = format!(
            "`{}` redirects a call that may have effects with status {status}, where calls do not follow: configure the final URL",
            api.host()
        );
        assert_eq!(fault.to_string(), told);
        assert_eq!(api.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_is_neither_an_answer_nor_a_redirect_is_a_fault() {
    let api = ScriptedApi::start().await;
    for (answer, told) in [
        (Answer::text("").with_status(304), "answers with status 304, which holds no answer"),
        (Answer::redirect(300, "/b"), "answers with status 300, which holds no answer"),
        (Answer::text("").with_status(302), "redirects without saying where to"),
    ] {
        api.then(answer);
        let fault = sent(&local(), get(&api.url("/a"))).await.unwrap_err();
        assert_eq!(fault.to_string(), format!("`{}` {told}", api.host()));
    }
}
