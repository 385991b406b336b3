//! CONTRACT 1 and DESIGN 9: what a connection may take, in lines, bytes and time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use letterhead_server::serve::Patience;
use tokio::time::Instant;

use crate::support::{House, app, built, call, memory, parse, request, said};

const YAML: &str = "agents: { assistant: { instructions: Hi. } }";

async fn impatient(header_timeout: Duration) -> House {
    let patience = Patience { header_timeout, ..crate::support::PATIENCE };
    House::serve(app("", YAML, memory), patience).await
}

#[tokio::test]
async fn a_client_that_sends_its_headers_a_byte_at_a_time_is_cut_off() {
    let limit = Duration::from_millis(300);
    let house = impatient(limit).await;
    let began = Instant::now();
    let mut wire = house.wire().await;
    // Each byte comes soon after the last one: it is the whole head that has a limit.
    let bytes = request("/v1/chat/completions", &[("x-long", &[b'a'; 4000])], said("Hi").to_string().as_bytes());
    let mut sent = 0;
    for byte in bytes.chunks(1) {
        if !wire.try_send(byte).await {
            break;
        }
        sent += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
        if began.elapsed() > limit * 4 {
            break;
        }
    }
    assert!(sent < bytes.len());
    assert!(began.elapsed() >= limit);
    let answer = wire.end().await;
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_silent_connection_does_not_live_for_ever() {
    let house = impatient(Duration::from_millis(300)).await;
    // One that never says anything, and one that has been answered and stays.
    assert!(house.wire().await.rest().await.is_empty());
    let mut wire = house.wire().await;
    wire.send(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(wire.until("ok").await.starts_with("HTTP/1.1 200"));
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn more_than_100_header_lines_are_an_empty_431() {
    let house = House::alone(YAML).await;
    let lines = |count: usize| {
        let mut head = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n".to_owned();
        (2..count).for_each(|at| head.push_str(&format!("x-line-{at}: 1\r\n")));
        head.push_str("\r\n");
        head.into_bytes()
    };
    for (count, status) in [(100, 200), (101, 431), (500, 431)] {
        let mut wire = house.wire().await;
        wire.send(&lines(count)).await;
        let answered = parse(&wire.rest().await);
        assert_eq!(answered.status, status, "{count} lines");
        assert_eq!(answered.text.is_empty(), status == 431);
    }
}

#[tokio::test]
async fn a_head_of_more_than_64_kib_is_refused() {
    let house = House::alone(YAML).await;
    let head = |bytes: usize| {
        let mut head = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n".to_owned();
        let rest = bytes - head.len() - "\r\n".len();
        for at in 0..8 {
            let name = format!("x-fill-{at}: ");
            head.push_str(&name);
            head.push_str(&"x".repeat(rest / 8 - name.len() - 2));
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    };
    for (bytes, status) in [(60_000, 200), (70_000, 431), (400_000, 431)] {
        let mut wire = house.wire().await;
        let _ = wire.try_send(&head(bytes)).await;
        let answer = wire.end().await;
        // A client that still writes when it is refused may lose the answer with the connection.
        if answer.is_empty() {
            assert!(bytes > 100_000, "{bytes} bytes: no answer");
            continue;
        }
        let answered = parse(&answer);
        assert_eq!(answered.status, status, "{bytes} bytes");
        assert_eq!(answered.text.is_empty(), status != 200);
    }
}

#[tokio::test]
async fn what_is_no_http_is_an_empty_400() {
    let house = House::alone(YAML).await;
    for bytes in
        [&b"hello\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
    {
        let mut wire = house.wire().await;
        wire.send(bytes).await;
        let answered = parse(&wire.end().await);
        assert_eq!((answered.status, answered.text.as_str()), (400, ""));
    }
    // Two lengths, or a length and chunks: what proxies and servers read differently is not read at all.
    for framing in
        ["content-length: 5\r\ncontent-length: 6\r\n", "content-length: -1\r\n", "transfer-encoding: gzip\r\n"]
    {
        let mut wire = house.wire().await;
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n");
        wire.send(head.as_bytes()).await;
        assert_eq!(parse(&wire.end().await).status, 400, "{framing}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let app = Arc::new(app("", YAML, memory));
    let began = Instant::now();
    let first: Result<Bytes, std::io::Error> = Ok(Bytes::from_static(b"{\"mess"));
    let stuck = Body::from_stream(futures_util::StreamExt::chain(stream::iter([first]), stream::pending()));
    let answered = call(&app, "127.0.0.1", built("POST", "/v1/chat/completions", &[], stuck)).await;
    let problem = answered.problem(400, "invalid_body");
    assert!(problem["detail"].as_str().unwrap().contains("in time"), "{problem}");
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_cut_off() {
    let patience = Patience { write_timeout: Duration::from_millis(300), ..crate::support::PATIENCE };
    let house = House::serve(app("", YAML, memory), patience).await;
    let mut wire = house.wire().await;
    let many = b"GET /.well-known/agent-card.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    // The answers fill what the system keeps of them; then the server stops to take requests, and then it ends.
    let cut = async { while wire.try_send(&many).await {} };
    tokio::time::timeout(Duration::from_secs(20), cut).await.expect("the connection lives on");
}
