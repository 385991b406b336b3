//! Before anything is timed: does the server under test do the work that is compared? A server that admits every
//! request, or stores nothing, would look quick.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::answers::Kind;
use crate::load::Driver;
use crate::process::Server;
use crate::workload::{IDENTITY, Sessions, Workload};

/// Sends one request without the declared headers and one with a wrong one: both must be refused, by name.
///
/// # Errors
/// When one is admitted.
pub(crate) async fn headers_are_checked(server: &Server) -> Result<()> {
    let mut driver = Driver::unused(server.address, 1).await?;
    let (status, body) = driver
        .ask(|host| {
            Request::builder()
                .method(Method::POST)
                .uri("/v1/chat/completions")
                .header(HOST, host)
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from_static(br#"{"messages":[{"role":"user","content":"hello"}]}"#)))
        })
        .await?;
    let body = String::from_utf8_lossy(&body);
    ensure!(status == StatusCode::BAD_REQUEST, "a request without its headers got {status}: {body}");
    for name in ["user_id", "org_id", "auth_token"] {
        ensure!(body.contains(name), "a request without `{name}` was refused without naming it: {body}");
    }

    let (status, body) = driver
        .ask(|host| {
            let mut request = Workload::new(Kind::Json, Sessions::None).request(host, 0)?;
            request.headers_mut().insert("seats", http::HeaderValue::from_static("none"));
            Ok(request)
        })
        .await?;
    let body = String::from_utf8_lossy(&body);
    ensure!(
        status == StatusCode::BAD_REQUEST && body.contains("seats"),
        "a request with a wrong `seats` got {status}: {body}"
    );
    Ok(())
}

/// Takes one turn of each agent that has variables: the trail must tell of a request for each of them.
///
/// # Errors
/// When one was not fetched.
pub(crate) async fn variables_are_fetched(server: &Server) -> Result<()> {
    let kept = ["context.user", "context.org", "context.preferences"];
    let fetched = ["context.user_now", "context.org_now", "context.team_now"];
    for (agent, variables) in [("kept", kept), ("three-fetches", fetched)] {
        let mut driver = Driver::unused(server.address, 1).await?;
        let turn = Workload::new(Kind::Json, Sessions::Fresh(format!("proof-{agent}"))).answered_by(agent);
        driver.closed(&turn, 0, 1).await?;
        let path = format!("/api/v1/sessions/proof-{agent}-0/trail");
        let (status, body) = read(&mut driver, &path).await?;
        let text = String::from_utf8_lossy(&body);
        ensure!(status == StatusCode::OK, "reading the trail of `{agent}` got {status}: {text}");
        for variable in variables {
            let named = format!("\"destination\":\"{variable}\"");
            ensure!(text.contains(&named), "`{agent}` did not fetch `{variable}`: {text}");
        }
    }
    Ok(())
}

/// Takes one turn of each agent that involves others: the conversation must show it.
///
/// # Errors
/// When one did not, or got no result.
pub(crate) async fn agents_involve_others(server: &Server) -> Result<()> {
    for (agent, shown) in
        [("parent", "word-19"), ("tool", "shipped"), ("mcp", "shipped"), ("nothing", "There is no tool of this name")]
    {
        let mut driver = Driver::unused(server.address, 1).await?;
        let turn = Workload::new(Kind::Json, Sessions::Fresh(format!("proof-{agent}"))).answered_by(agent);
        driver.closed(&turn, 0, 1).await?;
        let (status, body) = read(&mut driver, &format!("/api/v1/sessions/proof-{agent}-0/messages")).await?;
        let text = String::from_utf8_lossy(&body);
        ensure!(status == StatusCode::OK, "reading the turn of `{agent}` got {status}: {text}");
        let list: Value = serde_json::from_slice(&body).context("the stored messages are not JSON")?;
        let messages = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let [_, _, result, _] = messages else { anyhow::bail!("`{agent}` did not take two model calls: {text}") };
        ensure!(result.to_string().contains(shown), "`{agent}` got another result: {result}");
    }
    Ok(())
}

/// A question of the caller who is known.
async fn read(driver: &mut Driver, path: &str) -> Result<(StatusCode, Bytes)> {
    driver
        .ask(|host| {
            let mut request = Request::builder().uri(path).header(HOST, host);
            for (name, value) in IDENTITY {
                request = request.header(name, value);
            }
            request.body(Full::default())
        })
        .await
}

/// Takes one turn in a session and reads it back.
///
/// # Errors
/// When its question and answer are not both there.
pub(crate) async fn turns_are_stored(server: &Server) -> Result<()> {
    let mut driver = Driver::unused(server.address, 1).await?;
    driver.closed(&Workload::new(Kind::Stream, Sessions::Fresh("proof".into())), 0, 1).await?;
    let (status, body) = read(&mut driver, "/api/v1/sessions/proof-0/messages").await?;
    let text = String::from_utf8_lossy(&body);
    ensure!(status == StatusCode::OK, "reading the stored turn got {status}: {text}");
    let list: Value = serde_json::from_slice(&body).context("the stored messages are not JSON")?;
    let roles: Vec<&str> = list
        .get("data")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|message| message.get("role")?.as_str())
        .collect();
    ensure!(roles == ["user", "assistant"], "the stored turn is not a question and an answer: {text}");
    Ok(())
}
