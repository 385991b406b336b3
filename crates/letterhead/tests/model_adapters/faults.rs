//! What a provider may do to us, and what our caller is told.

use std::time::Duration;

use crate::support::{adapters, anthropic, client, each, failure, hello, openai, read};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, Method};
use letterhead::model::{FinishReason, ModelErrorKind, ModelEvent};
use letterhead::outbound::{Fault, Outgoing};
use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::json;
use tokio::time;

#[tokio::test]
async fn nobody_listens() {
    for (name, model) in adapters(&ScriptedLlm::nowhere().await) {
        let error = failure(&model, hello(true)).await;
        assert_eq!(error.kind(), ModelErrorKind::Connect, "{name}");
        assert_eq!(error.to_string(), "the model provider cannot be reached: the connection was refused");
        let problem = error.problem();
        assert_eq!((problem.code().as_str(), problem.should_retry()), ("upstream_unavailable", Some(false)));
    }
}

#[tokio::test]
async fn it_does_not_speak_tls() {
    let llm = ScriptedLlm::start().await;
    let error = failure(&openai(&llm.url().replace("http:", "https:")), hello(true)).await;
    assert_eq!(error.kind(), ModelErrorKind::Connect);
    assert!(error.to_string().contains("no secure connection, check the scheme"), "{error}");
}

#[tokio::test]
async fn its_name_has_no_address() {
    // A name that never has one, by RFC 6761.
    let error = failure(&openai("http://provider.invalid"), hello(true)).await;
    assert_eq!(error.kind(), ModelErrorKind::Connect);
    assert!(error.to_string().contains("its name has no address"), "{error}");
}

#[tokio::test]
async fn it_does_not_begin_to_answer() {
    for (name, llm, model, call) in each().await {
        llm.then(Answer::hang());
        let running = tokio::spawn(async move { failure(&model, call).await });
        llm.received(1).await;
        time::pause();
        time::advance(Duration::from_secs(118)).await;
        assert!(!running.is_finished(), "{name}");
        time::advance(Duration::from_secs(3)).await;
        let error = running.await.unwrap();
        time::resume();
        assert_eq!(error.kind(), ModelErrorKind::Timeout, "{name}");
        assert_eq!(error.problem().code().as_str(), "upstream_timeout");
        llm.left(1).await;
        assert_eq!(llm.requests().len(), 1, "{name}: it may be at work, so it is not asked again");
    }
}

#[tokio::test]
async fn it_falls_silent() {
    for (name, llm, model, call) in each().await {
        let (answer, tap) = Answer::live();
        llm.then(answer);
        let mut stream = model.call(call).await.unwrap();
        // A piece of text in both protocols.
        let piece = json!({"choices": [{"delta": {"content": "x"}}],
            "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}});
        // What comes late but in time is an answer, not silence.
        for _ in 0..3 {
            assert!(stream.next().now_or_never().is_none(), "{name}");
            time::pause();
            time::advance(Duration::from_secs(59)).await;
            time::resume();
            tap.event(&piece.to_string());
            assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::Text("x".into()), "{name}");
        }
        assert!(stream.next().now_or_never().is_none(), "{name}");
        time::pause();
        time::advance(Duration::from_secs(61)).await;
        let (_, outcome) = read(stream).await;
        time::resume();
        assert_eq!(outcome.unwrap_err().kind(), ModelErrorKind::Timeout, "{name}");
        tap.left().await;
    }
}

#[tokio::test]
async fn it_refuses() {
    for (status, kind, code) in [
        (400, ModelErrorKind::Rejected { code: None }, "upstream_rejected"),
        (401, ModelErrorKind::Auth, "upstream_auth"),
        (403, ModelErrorKind::Auth, "upstream_auth"),
        (404, ModelErrorKind::Failed, "upstream_failed"),
        (413, ModelErrorKind::Rejected { code: None }, "upstream_rejected"),
        (422, ModelErrorKind::Rejected { code: None }, "upstream_rejected"),
    ] {
        for (name, llm, model, call) in each().await {
            llm.then(Answer::status(status));
            let error = failure(&model, call).await;
            assert_eq!(error.kind(), kind, "{name}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
            let problem = error.problem();
            assert_eq!((problem.code().as_str(), problem.should_retry()), (code, None), "{name}, {status}");
            assert_eq!(llm.requests().len(), 1, "{name}, {status}");
        }
    }
}

#[tokio::test]
async fn it_refuses_with_a_code_that_we_know() {
    let llm = ScriptedLlm::start().await;
    llm.then(Answer::error(400, &json!({"error": {"message": "x", "code": "context_length_exceeded"}})))
        .then(Answer::error(404, &json!({"error": {"code": "model_not_found"}})))
        .then(Answer::error(400, &json!({"type": "error", "error": {"type": "invalid_request_error", "message": "x"}})))
        .then(Answer::error(400, &json!({"error": {"code": "look at this: sk-1"}})))
        .then(Answer::error(
            400,
            &json!({"error": {"code": "context_length_exceeded", "message": "x".repeat(70_000)}}),
        ));
    let model = openai(&llm.url());
    for code in [
        Some("context_length_exceeded"),
        Some("model_not_found"),
        Some("invalid_request_error"),
        None,
        /* too long */ None,
    ] {
        assert_eq!(failure(&model, hello(false)).await.kind(), ModelErrorKind::Rejected { code });
    }
}

#[tokio::test]
async fn it_limits_requests_for_a_moment() {
    for (name, llm, model, call) in each().await {
        let wait = Duration::from_millis(30);
        llm.then(Answer::status(429).header("retry-after-ms", "30")).then(Reply::text("Hello."));
        let begun = std::time::Instant::now();
        assert_eq!(
            read(model.call(call).await.unwrap()).await,
            ("Hello.".to_owned(), Ok(FinishReason::Stop)),
            "{name}"
        );
        assert!(begun.elapsed() >= wait, "{name}: it waits as long as it is told");
        let requests = llm.requests();
        assert_eq!(requests.len(), 2, "{name}");
        assert_eq!(requests[0].body, requests[1].body, "{name}: the same is sent again");
    }
}

#[tokio::test]
async fn it_keeps_limiting_requests() {
    for (name, llm, model, call) in each().await {
        for _ in 0..3 {
            llm.then(Answer::status(429).header("retry-after", "0"));
        }
        let error = failure(&model, call).await;
        let kind = ModelErrorKind::RateLimited { retry_after: Some(Duration::ZERO) };
        assert_eq!((error.kind(), llm.requests().len()), (kind, 3), "{name}");
        let problem = error.problem();
        assert_eq!((problem.status().as_u16(), problem.should_retry()), (429, Some(false)), "{name}");
    }
}

#[tokio::test]
async fn it_wants_us_to_wait_for_long() {
    for (name, llm, model, call) in each().await {
        llm.then(Answer::status(429).header("retry-after", "61"));
        let problem = failure(&model, call).await.problem();
        assert_eq!(llm.requests().len(), 1, "{name}");
        assert_eq!(problem.retry_after(), Some(Duration::from_secs(61)), "{name}");
        assert_eq!(problem.should_retry(), Some(false), "{name}");
    }
}

#[tokio::test]
async fn it_fails_and_then_works() {
    for first in [500, 502, 503, 529, 408, 409] {
        for (name, llm, model, call) in each().await {
            llm.then(Answer::status(first)).then(Answer::close()).then(Reply::text("Hello."));
            let answer = read(model.call(call).await.unwrap()).await;
            assert_eq!(answer, ("Hello.".to_owned(), Ok(FinishReason::Stop)), "{name}, {first}");
        }
    }
}

#[tokio::test]
async fn it_keeps_failing() {
    for (status, kind, code) in [
        (500, ModelErrorKind::Failed, "upstream_failed"),
        (503, ModelErrorKind::Unavailable { retry_after: None }, "upstream_unavailable"),
        (529, ModelErrorKind::Unavailable { retry_after: None }, "upstream_unavailable"),
    ] {
        for (name, llm, model, call) in each().await {
            llm.then(Answer::status(status)).then(Answer::status(status)).then(Answer::status(status));
            let error = failure(&model, call).await;
            assert_eq!((error.kind(), llm.requests().len()), (kind, 3), "{name}");
            let problem = error.problem();
            assert_eq!((problem.code().as_str(), problem.should_retry()), (code, Some(false)), "{name}");
        }
    }
}

#[tokio::test]
async fn it_answers_with_a_web_page() {
    for (name, llm, model, call) in each().await {
        llm.then(Answer::bytes("text/html; charset=utf-8", "<html>Sign in</html>"));
        let error = failure(&model, call).await;
        assert_eq!(error.kind(), ModelErrorKind::Malformed, "{name}");
        assert!(error.to_string().contains("web page"), "{error}");
        assert_eq!(error.problem().code().as_str(), "upstream_failed");
    }
    // Also if it does not say so.
    for (name, llm, model, call) in each().await {
        llm.then(Answer::bytes("", "<html>Sign in</html>"));
        assert_eq!(failure(&model, call).await.kind(), ModelErrorKind::Malformed, "{name}");
    }
}

#[tokio::test]
async fn it_answers_with_half_a_json() {
    for (name, llm, model, call) in each().await {
        llm.then(Answer::bytes("application/json", r#"{"choices":[{"message":{"content":"Hel"#));
        assert_eq!(failure(&model, call).await.kind(), ModelErrorKind::Malformed, "{name}");
    }
    for (name, llm, model, call) in each().await {
        llm.then(Answer::cut("application/json", r#"{"choices":[{"message":{"content":"Hel"#));
        assert_eq!(failure(&model, call).await.kind(), ModelErrorKind::BrokeOff, "{name}");
        assert_eq!(llm.requests().len(), 1, "{name}: nothing is repeated after the first byte");
    }
}

#[tokio::test]
async fn it_breaks_off() {
    let openai_begin = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    let anthropic_begin = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
        \"content_block\":{\"type\":\"text\",\"text\":\"Hel\"}}\n\n";
    for properly in [false, true] {
        for (begin, anthropics) in [(openai_begin, false), (anthropic_begin, true)] {
            for tail in ["", "data: {\"choices\":[{\"delta\":{\"con"] {
                let llm = ScriptedLlm::start().await;
                let (answer, tap) = Answer::live();
                llm.then(answer);
                let model = if anthropics { anthropic(&llm.url()) } else { openai(&llm.url()) };
                let stream = model.call(hello(true)).await.unwrap();
                tap.send(begin);
                tap.send(tail.to_owned() + "\n");
                if properly {
                    tap.end();
                } else {
                    tap.break_off();
                }
                let (text, outcome) = read(stream).await;
                assert_eq!(text, "Hel", "what came is given");
                let error = outcome.unwrap_err();
                assert!(matches!(error.kind(), ModelErrorKind::BrokeOff | ModelErrorKind::Malformed), "{error:?}");
                assert_eq!(error.problem().code().as_str(), "upstream_failed");
                assert_eq!(llm.requests().len(), 1, "nothing is repeated after the first byte");
            }
        }
    }
}

#[tokio::test]
async fn it_redirects() {
    for status in [301, 302, 307, 308] {
        let elsewhere = ScriptedLlm::start().await;
        for (name, llm, model, call) in each().await {
            llm.then(Answer::status(status).header("location", &elsewhere.openai_url()));
            let error = failure(&model, call).await;
            assert_eq!(error.kind(), ModelErrorKind::Failed, "{name}");
            assert!(error.to_string().contains("redirects are not followed"), "{error}");
            assert_eq!((llm.requests().len(), elsewhere.requests().len()), (1, 0), "{name}");
        }
    }
}

#[tokio::test]
async fn it_sends_without_end() {
    let llm = ScriptedLlm::start().await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut stream = openai(&llm.url()).call(hello(true)).await.unwrap();
    let sender = tokio::spawn(async move {
        while time::timeout(Duration::ZERO, tap.left()).await.is_err() {
            tap.send(vec![b'x'; 100_000]);
            tokio::task::yield_now().await;
        }
    });
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Malformed);
    assert!(error.to_string().contains("too large"), "{error}");
    drop(stream);
    sender.await.unwrap();
}

#[tokio::test]
async fn a_body_is_read_up_to_a_limit() {
    let llm = ScriptedLlm::start().await;
    let send = || async {
        llm.then(Answer::bytes("text/plain", "0123456789"));
        let url = llm.url().parse().unwrap();
        let outgoing = Outgoing { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() };
        client().send(outgoing).await.unwrap()
    };
    assert_eq!(send().await.body.read(10).await.unwrap(), "0123456789");
    assert_eq!(send().await.body.read(9).await.unwrap_err(), Fault::TooLarge);
}
