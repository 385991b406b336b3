//! Whatever goes wrong with a call is a result that the model can act on; the run goes on.

use std::time::Duration;

use http::Method;
use letterhead_testkit::{Answer, ScriptedApi};
use serde_json::{Value, json};
use tokio::time;

use crate::shop::{calling, result, run, shop, tool};
use crate::support::said;

fn order() -> Value {
    json!({ "order_id": "7" })
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_not_sent() {
    let api = ScriptedApi::start().await;
    for (arguments, told) in [
        (json!({}), "\"order_id\" is a required property"),
        (json!({ "order_id": 7 }), "at `/order_id`, this value is not of type \"string\""),
        (json!({ "order_id": "7", "limit": "many" }), "at `/limit`, this value is not of type \"integer\""),
        (json!(["7"]), "this value is not of type \"object\""),
    ] {
        let result = result(tool(&api, "/o"), arguments).await;
        assert!(result.starts_with("The arguments do not fit the tool's parameters: "), "{result}");
        assert!(result.contains(told) && result.ends_with("Nothing was called."), "{result}");
    }
    assert_eq!(api.connections(), 0);
}

#[tokio::test]
async fn a_call_that_cannot_be_made_says_what_is_missing() {
    let api = ScriptedApi::start().await;
    for (made, told) in [
        (tool(&api, "/{{ args.note }}"), "The call was not made: the URL needs `args.note`, which is missing."),
        (tool(&api, "/{{ args.order_id }}/x").with_header("X-Org", "1"), "The call was not made: the URL "),
        (
            tool(&api, "/").with_header("Authorization", "Bearer {{ headers.org }}"),
            "The call was not made: the header `Authorization` ",
        ),
    ] {
        let result = result(made, json!({ "order_id": ".." })).await;
        assert!(result.starts_with(told), "{result}");
    }
    assert_eq!(api.connections(), 0);
}

#[tokio::test]
async fn a_status_is_told_and_never_the_body() {
    for (status, told) in [
        (400, "The API answered with status 400 (Bad Request)."),
        (401, "The API answered with status 401 (Unauthorized)."),
        (404, "The API answered with status 404 (Not Found)."),
    ] {
        let api = ScriptedApi::start().await;
        api.always(move |_| Answer::status(status).body("canary"));
        assert_eq!(result(tool(&api, "/o").with_select("order"), order()).await, told);
        assert_eq!(api.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_expected_is_told_without_it() {
    for (answer, told) in [
        (Answer::text("canary"), "The API was called, but the answer is not JSON."),
        (Answer::json(&json!({ "canary": 1 })), "The API was called, but `select` finds nothing in the answer."),
        (
            Answer::json(&json!({ "errors": [{ "message": "canary" }], "order": 1 })),
            "The API was called, but the answer reports errors, as GraphQL does.",
        ),
        (Answer::large(10 * 1024 * 1024), "The call failed: the answer is larger than 1048576 bytes."),
        (
            Answer::redirect(302, "http://169.254.169.254/canary"),
            "The call failed: the other side redirects to another origin, where calls do not follow: configure the final URL.",
        ),
    ] {
        let api = ScriptedApi::start().await;
        api.then(answer);
        assert_eq!(result(tool(&api, "/o").with_select("order"), order()).await, told);
    }
}

#[tokio::test]
async fn a_place_where_calls_do_not_go_is_not_called() {
    for url in ["http://10.0.0.1/", "http://[::1]/", "http://127.0.0.2/", "http://169.254.169.254/"] {
        let elsewhere = letterhead::HttpTool::new("get_order", url);
        let told = result(elsewhere, json!({})).await;
        assert_eq!(told, "The call failed: it would go to a place where calls out do not go (see `egress.allow`).");
    }
}

#[tokio::test]
async fn the_trail_says_sent_only_where_somebody_was_reached() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::close());
    for (url, sent) in [(api.url("/o"), true), (format!("{}/o", ScriptedApi::nowhere().await), false)] {
        let made = letterhead::HttpTool::new("get_order", url).with_header("X-User", "{{ headers.user_id }}");
        let trail = run(shop(&calling([json!({})]), made)).await.trail;
        let entries: Vec<_> = trail.iter().filter(|entry| &*entry.destination == "tools.get_order").collect();
        assert!(!entries.is_empty() && entries.iter().all(|entry| entry.sent == sent), "{entries:?}");
        let told = entries.iter().filter_map(|entry| entry.reason.as_deref());
        assert!(sent || told.eq(["nothing was sent: the connection was refused"]), "{entries:?}");
    }
}

#[tokio::test]
async fn only_a_call_without_effects_is_made_again() {
    for (made, requests) in [(None, 3), (Some(Method::POST), 1), (Some(Method::DELETE), 1)] {
        let api = ScriptedApi::start().await;
        api.then(Answer::status(503).header("retry-after", "0")).then(Answer::close()).then(Answer::text("here"));
        let mut made_by = tool(&api, "/o");
        if let Some(method) = made {
            made_by = made_by.with_method(method);
        }
        let told = result(made_by, order()).await;
        assert_eq!(api.requests().len(), requests);
        assert_eq!(told == "here", requests == 3, "{told}");
    }
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::hang());
    let made = tool(&api, "/o").with_effects(true).with_timeout(Duration::from_secs(7));
    let running = tokio::spawn(async move { result(made, order()).await });
    api.received(1).await;
    time::pause();
    time::advance(Duration::from_secs(8)).await;
    assert_eq!(running.await.unwrap(), "The call failed: no whole answer within 7s.");
    time::resume();
}

#[tokio::test]
async fn cancelling_a_run_gives_a_call_up() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::hang());
    let script = calling([order()]);
    let runner = shop(&script, tool(&api, "/{{ headers.user_id }}")).build().unwrap();
    let stream = runner.run("Hello").context_header("user_id", "u_1").stream();
    api.received(1).await;
    let result = stream.cancel().await.unwrap();
    assert_eq!(said(&result.messages)[2], "tool: The call was interrupted.");
    assert!(result.trail.iter().any(|entry| &*entry.destination == "tools.get_order"), "what went out is told");
    api.left(1).await;
}

#[tokio::test]
async fn a_variable_that_is_not_to_be_had_stops_the_call() {
    let api = ScriptedApi::start().await;
    api.on("/me").always(|_| Answer::status(404));
    let script = calling([order()]);
    let shop = shop(&script, tool(&api, "/customers/{{ me.customer }}"));
    let result = run(shop.variable(letterhead::Variable::new("me", api.url("/me")))).await;
    let told = &said(&result.messages)[2];
    assert!(told.starts_with("tool: The call was not made: `context.me` could not be fetched"), "{told}");
    assert_eq!(api.requests().len(), 1);
}
