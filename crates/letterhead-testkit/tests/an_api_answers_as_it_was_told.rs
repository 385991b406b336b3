//! The scripted API, asked by a client that knows nothing of it.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

use std::time::Duration;

use letterhead_testkit::{Answer, ScriptedApi};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

fn client() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn get(api: &ScriptedApi, path: &str) -> (StatusCode, String) {
    let answer = client().get(api.url(path)).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn each_path_has_its_own_script_and_then_that_of_the_api() {
    let api = ScriptedApi::start().await;
    api.on("/users/1").then(Answer::status(500)).json(&json!({ "name": "Ada" }));
    api.on("POST /users/1").then(Answer::text("posted"));
    api.on("/users/1?full=yes").then(Answer::text("full"));
    api.then(Answer::redirect(302, "/users/1")).always(|request| Answer::text(request.route()).with_status(418));

    assert_eq!(get(&api, "/users/1").await.0, 500);
    assert_eq!(get(&api, "/users/1?full=no").await, (StatusCode::OK, r#"{"name":"Ada"}"#.to_owned()));
    assert_eq!(get(&api, "/users/1?full=yes").await.1, "full");
    let posted = client().post(api.url("/users/1")).body("{}").send().await.unwrap();
    assert_eq!(posted.text().await.unwrap(), "posted");
    assert_eq!(get(&api, "/elsewhere").await.0, 302);
    assert_eq!(get(&api, "/elsewhere?x").await, (StatusCode::IM_A_TEAPOT, "/elsewhere".to_owned()));

    let asked = api.requests_to("/users/1");
    assert_eq!(asked.iter().map(|request| request.method.as_str()).collect::<Vec<_>>(), ["GET", "GET", "GET", "POST"]);
    assert_eq!((asked[1].query(), asked[3].text()), (Some("full=no"), "{}"));
    assert!(asked[0].at <= asked[1].at);
    assert_eq!((api.requests().len(), api.requests_to("POST /users/1").len()), (6, 1));
}

#[tokio::test]
async fn what_is_larger_than_it_looks_is_as_large_as_it_was_told_to_be() {
    let api = ScriptedApi::start().await;
    api.on("/large").always(|_| Answer::large(3_000_000));
    api.on("/bomb").always(|_| Answer::gzip_bomb(3_000_000));
    assert_eq!(get(&api, "/large").await.1.len(), 3_000_000);

    let packed = Client::builder().no_proxy().no_gzip().build().unwrap().get(api.url("/bomb")).send().await.unwrap();
    assert!(packed.bytes().await.unwrap().len() < 30_000);
    let mut unpacked = client().get(api.url("/bomb")).send().await.unwrap();
    let mut length = 0;
    while let Ok(Some(piece)) = unpacked.chunk().await {
        length += piece.len();
    }
    assert!((2_900_000..3_000_010).contains(&length), "{length}");
}

#[tokio::test]
async fn a_client_that_leaves_an_endless_answer_is_seen() {
    let api = ScriptedApi::start().await;
    api.then(Answer::endless());
    let mut answer = client().get(api.url("/")).send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    api.left(1).await;
}

#[tokio::test]
async fn an_answer_is_held_until_the_gate_opens() {
    let api = ScriptedApi::start().await;
    let (answer, gate) = Answer::json(&Value::Null).held();
    api.then(answer);
    let asked = tokio::spawn(client().get(api.url("/")).send());
    api.received(1).await;
    assert!(!asked.is_finished());
    gate.open();
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_delay_passes_by_the_clock_of_the_test() {
    let api = ScriptedApi::start().await;
    api.then(Answer::text("late").after(Duration::from_secs(3600)));
    let before = tokio::time::Instant::now();
    assert_eq!(get(&api, "/").await.1, "late");
    assert!(before.elapsed() >= Duration::from_secs(3600));
}
