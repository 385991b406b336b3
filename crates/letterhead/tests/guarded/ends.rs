//! Connections that end under a request, and servers that speak out of turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use letterhead::outbound::{GuardedClient, Outgoing};
use letterhead_testkit::{Answer, ScriptedApi};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{get, local, post, sent, text};

#[tokio::test]
async fn what_came_over_a_connection_that_then_ended_is_not_sent_again() {
    let api = ScriptedApi::start().await;
    let client = local();
    api.then(Answer::text("one")).then(Answer::close()).then(Answer::text("three"));
    assert_eq!(text(&client, post(&api.url("/"), "1")).await, "one");
    // Over the same connection, as far as anybody can know in time.
    let fault = sent(&client, post(&api.url("/"), "2")).await.unwrap_err();
    assert!(fault.may_pass() && !fault.is_before_sending(), "{fault}");
    assert_eq!((api.requests().len(), api.connections()), (2, 1));
    assert_eq!(text(&client, post(&api.url("/"), "3")).await, "three");
    assert_eq!((api.requests().len(), api.connections()), (3, 2));
}

/// A server that says these bytes as soon as it has the head of a request, before it reads any body. Its address, and how
/// many connections there were.
async fn saying(bytes: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    async fn serve(stream: TcpStream, bytes: &str) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                if stream.read_line(&mut line).await.ok()? == 0 {
                    return None;
                }
            }
            stream.get_mut().write_all(bytes.as_bytes()).await.ok()?;
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, bytes));
        }
    });
    (at, connections)
}

async fn twice(client: &GuardedClient, request: Outgoing) -> [(u16, Vec<u8>); 2] {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = sent(client, request.clone()).await.unwrap();
        answers.push((answer.status.as_u16(), answer.body.to_vec()));
    }
    answers.try_into().unwrap()
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_nobodys() {
    let one = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none";
    for unasked in [
        concat!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nelse"),
        concat!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none", "more of the body than was said"),
    ] {
        let (at, connections) = saying(unasked).await;
        let answers = twice(&local(), get(&format!("http://{at}/"))).await;
        assert_eq!(answers, [(200, b"one".to_vec()), (200, b"one".to_vec())]);
        assert_eq!(connections.load(Ordering::SeqCst), 2, "it is not used again");
    }
    let (at, connections) = saying(one).await;
    twice(&local(), get(&format!("http://{at}/"))).await;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_comes_before_an_answer_is_none() {
    let (at, connections) = saying(concat!(
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\nx-early: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nlate\r\n0\r\nx-trailer: 1\r\n\r\n",
    ))
    .await;
    let client = local();
    assert_eq!(twice(&client, get(&format!("http://{at}/"))).await, [(200, b"late".to_vec()), (200, b"late".to_vec())]);
    let answer = sent(&client, get(&format!("http://{at}/"))).await.unwrap();
    assert_eq!(answer.headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["transfer-encoding"]);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_may_answer_before_it_has_read_what_was_sent() {
    let (at, connections) = saying("HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nless").await;
    // More than any socket holds.
    let body = vec![b'x'; 32 << 20].into();
    let request = Outgoing { body, ..post(&format!("http://{at}/"), "") };
    let answers = twice(&local(), request).await;
    assert_eq!(answers, [(413, b"less".to_vec()), (413, b"less".to_vec())]);
    assert_eq!(connections.load(Ordering::SeqCst), 2, "a connection with half a request is not used again");
}
