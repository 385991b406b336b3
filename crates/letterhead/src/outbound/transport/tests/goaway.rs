//! HTTP/2 connections that are ended by a server, frame by frame.

use std::collections::VecDeque;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;
/// What a server says that is going to end the connection, and has not yet said what it will not look at.
const ALL: u32 = u32::MAX >> 1;

/// What a server does, in turn, when a request has come whole. Then it ends the connection.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Says that it ends the connection, which stream is the last that it looked at, and why.
    GoAway(u32, u32),
    /// Answers the request of this stream with 200 and nothing more.
    Answer(u32),
    /// Waits for another request.
    Wait,
}
use Act::{Answer as Answers, GoAway, Wait};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames until a request is whole. None when the client has ended the connection.
async fn request(stream: &mut TlsStream<TcpStream>) -> Option<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        match (kind, flags) {
            // Settings, which are to be acknowledged.
            (4, 0) => stream.write_all(&frame(4, 1, 0, &[])).await.ok()?,
            // Data or a head that ends its stream.
            (0 | 1, flags) if flags & 1 == 1 => return Some(()),
            _ => {}
        }
    }
}

async fn play(stream: &mut TlsStream<TcpStream>, acts: &[Act], requests: &AtomicUsize) -> Option<()> {
    stream.read_exact(&mut [0; 24]).await.ok()?;
    stream.write_all(&frame(4, 0, 0, &[])).await.ok()?;
    for act in [&[Wait], acts].concat() {
        match act {
            GoAway(last, reason) => {
                let said = [last.to_be_bytes(), reason.to_be_bytes()].concat();
                stream.write_all(&frame(7, 0, 0, &said)).await.ok()?;
            }
            // A head that ends the stream, and in it the eighth entry of HPACK's table: `:status: 200`.
            Answers(to) => stream.write_all(&frame(1, 5, to, &[0x88])).await.ok()?,
            Wait => {
                request(stream).await?;
                requests.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    Some(())
}

/// A server that acts so on its connections, one after the other, and answers on all further ones. Where it is, a client
/// that trusts it, and how many requests have come.
async fn acting(connections: &[&[Act]]) -> (SocketAddr, Transport, Arc<AtomicUsize>) {
    let (acceptor, roots) = certified(4096);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let mut scripts: VecDeque<Vec<Act>> = connections.iter().map(|acts| acts.to_vec()).collect();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acts = scripts.pop_front().unwrap_or_else(|| vec![Answers(1), Wait, Answers(3), Wait]);
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                play(&mut stream, &acts, &counted).await;
                drop(stream.shutdown().await);
            });
        }
    });
    (at, trusting(roots), requests)
}

#[tokio::test]
async fn a_request_is_sent_again_where_a_goaway_says_that_it_was_not_looked_at_and_nowhere_else() {
    for (acts, comes) in [
        (&[GoAway(0, NO_ERROR)][..], 2),
        // First that it will end, then what it has not looked at.
        (&[GoAway(ALL, NO_ERROR), GoAway(0, NO_ERROR)], 2),
        // It may have done what was asked, and says nothing of it any more.
        (&[GoAway(1, NO_ERROR)], 1),
        (&[GoAway(ALL, NO_ERROR)], 1),
        (&[GoAway(ALL, NO_ERROR), GoAway(1, NO_ERROR)], 1),
        (&[], 1),
        // It wants fewer of them.
        (&[GoAway(0, ENHANCE_YOUR_CALM)], 1),
    ] {
        let (at, transport, requests) = acting(&[acts]).await;
        let answer = post(&transport, &uri("localhost", at)).await;
        assert_eq!(answer, if comes == 2 { Ok(Bytes::new()) } else { Err(Fault::BrokeOff) }, "{acts:?}");
        assert_eq!(requests.load(Ordering::SeqCst), comes, "{acts:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_every_connection_is_asked_three_times() {
    let (at, transport, requests) = acting(&[&[GoAway(0, NO_ERROR)][..]; 4]).await;
    assert_eq!(post(&transport, &uri("localhost", at)).await, Err(Fault::BrokeOff));
    assert_eq!(requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_a_closing_connection_still_answers_is_an_answer_and_the_next_request_goes_elsewhere() {
    let (at, transport, requests) = acting(&[&[GoAway(1, NO_ERROR), Answers(1), Wait]]).await;
    for comes in 1..=3 {
        assert_eq!(post(&transport, &uri("localhost", at)).await, Ok(Bytes::new()));
        assert_eq!(requests.load(Ordering::SeqCst), comes);
    }
}

#[tokio::test]
async fn of_two_requests_on_a_closing_connection_only_the_one_behind_its_last_is_sent_again() {
    let script = [Answers(1), Wait, Wait, GoAway(3, NO_ERROR)];
    let (at, transport, requests) = acting(&[&script]).await;
    let to = uri("localhost", at);
    assert_eq!(post(&transport, &to).await, Ok(Bytes::new()));
    // The third and the fifth stream: the latter is sent again, elsewhere; of the former nobody knows.
    let (one, other) = tokio::join!(post(&transport, &to), post(&transport, &to));
    let mut both = [one, other];
    both.sort_by_key(Result::is_err);
    assert_eq!(both, [Ok(Bytes::new()), Err(Fault::BrokeOff)]);
    assert_eq!(requests.load(Ordering::SeqCst), 4);
}
