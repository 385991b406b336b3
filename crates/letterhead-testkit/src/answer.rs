//! What the server does with one request.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::gzip;

/// What large bodies are made of, a piece at a time.
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// What the server does with one request, to the byte.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    wait: Wait,
}

/// What is waited for before the first byte.
#[derive(Debug)]
enum Wait {
    Nothing,
    Time(Duration),
    Gate(oneshot::Receiver<()>),
}

#[derive(Debug)]
enum Body {
    Whole(Bytes),
    /// Fewer bytes than the head promises, then the connection ends.
    Cut(Bytes),
    /// Chunks from a tap.
    Live(mpsc::UnboundedReceiver<Piece>),
    /// A JSON string of this many bytes, with its length in the head.
    Large(usize),
    /// A JSON string without an end, in chunks.
    Endless,
    /// No head at all until the client leaves.
    Hang,
    /// No head at all: the connection ends.
    Close,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End,
}

/// How an answer went.
pub(crate) enum Went {
    /// The connection can take another request.
    Well,
    /// The connection is over because the script wanted so.
    Closed,
    /// The client left before the answer was complete.
    Left,
}

impl Answer {
    fn new(status: u16, content_type: &str, body: Body) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body, wait: Wait::Nothing }
    }

    /// 200 with JSON.
    pub fn json(body: &Value) -> Self {
        Self::bytes("application/json", body.to_string())
    }

    /// 200 with plain text.
    pub fn text(body: &str) -> Self {
        Self::bytes("text/plain; charset=utf-8", body.to_owned())
    }

    /// 200 with any bytes.
    pub fn bytes(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(200, content_type, Body::Whole(body.into()))
    }

    /// 200 with a stream of events: each a `data:` line, given as one piece.
    pub fn sse(data: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let body: String = data.into_iter().map(|data| format!("data: {}\n\n", data.as_ref())).collect();
        Self::bytes("text/event-stream", body)
    }

    /// A status with an error body of OpenAI's form.
    pub fn status(status: u16) -> Self {
        Self::error(status, &json!({"error": {"message": "what the upstream says", "type": "error", "code": null}}))
    }

    /// A status with a JSON body.
    pub fn error(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", Body::Whole(body.to_string().into()))
    }

    /// A redirect with this `location`.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, "", Body::Whole(Bytes::new())).header("location", location)
    }

    /// 200 with a JSON string of this many bytes, which the head announces.
    pub fn large(bytes: usize) -> Self {
        Self::new(200, "application/json", Body::Large(bytes))
    }

    /// 200 with a JSON string that never ends, in chunks: nothing in the head tells that it is large.
    pub fn endless() -> Self {
        Self::new(200, "application/json", Body::Endless)
    }

    /// 200 with a JSON string that is small on the wire and about this many bytes when it is unpacked.
    pub fn gzip_bomb(bytes: usize) -> Self {
        Self::bytes("application/json", gzip::bomb(bytes)).header("content-encoding", "gzip")
    }

    /// Promises more bytes than it sends, then ends the connection.
    pub fn cut(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(200, content_type, Body::Cut(body.into()))
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(200, "", Body::Hang)
    }

    /// Ends the connection without an answer.
    pub fn close() -> Self {
        Self::new(200, "", Body::Close)
    }

    /// 200 with an event stream of which the test holds the tap.
    pub fn live() -> (Self, Tap) {
        let (pieces, receiver) = mpsc::unbounded_channel();
        (Self::new(200, "text/event-stream", Body::Live(receiver)), Tap { pieces })
    }

    /// Sets a header, in place of one of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sets the body, in place of the one there is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    /// Begins after this time, by tokio's clock.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.wait = Wait::Time(time);
        self
    }

    /// Begins when the gate is opened.
    #[must_use]
    pub fn held(mut self) -> (Self, Gate) {
        let (opened, opens) = oneshot::channel();
        self.wait = Wait::Gate(opens);
        (self, Gate { opened })
    }

    fn head(&self, framing: &str) -> String {
        let lines: String = self
            .headers
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!("HTTP/1.1 {} Scripted\r\n{lines}{framing}\r\n\r\n", self.status)
    }

    pub(crate) async fn write(self, socket: &mut TcpStream) -> Went {
        self.try_write(socket).await.unwrap_or(Went::Left)
    }

    async fn try_write(mut self, socket: &mut TcpStream) -> io::Result<Went> {
        if !std::mem::replace(&mut self.wait, Wait::Nothing).pass(socket).await {
            return Ok(Went::Left);
        }
        let length = |length: usize| self.head(&format!("content-length: {length}"));
        match &self.body {
            Body::Whole(bytes) => {
                let mut answer = length(bytes.len()).into_bytes();
                answer.extend_from_slice(bytes);
                socket.write_all(&answer).await?;
                Ok(Went::Well)
            }
            Body::Cut(bytes) => {
                socket.write_all(length(bytes.len() + 1000).as_bytes()).await?;
                socket.write_all(bytes).await?;
                Ok(Went::Closed)
            }
            Body::Large(bytes) => {
                socket.write_all(length(*bytes).as_bytes()).await?;
                socket.write_all(b"\"").await?;
                let mut rest = bytes.saturating_sub(2);
                while rest > 0 {
                    let piece = PIECE.get(..rest).unwrap_or(&PIECE);
                    socket.write_all(piece).await?;
                    rest -= piece.len();
                }
                socket.write_all(b"\"").await?;
                Ok(Went::Well)
            }
            Body::Endless => {
                socket.write_all(self.head("transfer-encoding: chunked").as_bytes()).await?;
                socket.write_all(b"1\r\n\"\r\n").await?;
                let chunk = [format!("{:x}\r\n", PIECE.len()).as_bytes(), &PIECE, b"\r\n"].concat();
                loop {
                    socket.write_all(&chunk).await?;
                }
            }
            Body::Close => Ok(Went::Closed),
            Body::Hang => {
                gone(socket).await;
                Ok(Went::Left)
            }
            Body::Live(_) => {
                socket.write_all(self.head("transfer-encoding: chunked").as_bytes()).await?;
                let Body::Live(pieces) = self.body else { unreachable!("matched above") };
                live(socket, pieces).await
            }
        }
    }
}

impl Wait {
    /// Waits; false if the client left meanwhile.
    async fn pass(self, socket: &mut TcpStream) -> bool {
        let over = async {
            match self {
                Self::Nothing => {}
                Self::Time(time) => sleep(time).await,
                // A gate that is dropped stands open.
                Self::Gate(opens) => {
                    let _ = opens.await;
                }
            }
        };
        tokio::select! {
            biased;
            () = over => true,
            () = gone(socket) => false,
        }
    }
}

async fn live(socket: &mut TcpStream, mut pieces: mpsc::UnboundedReceiver<Piece>) -> io::Result<Went> {
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            () = gone(socket) => return Ok(Went::Left),
        };
        match piece {
            Some(Piece::Bytes(bytes)) => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(&bytes);
                chunk.extend_from_slice(b"\r\n");
                socket.write_all(&chunk).await?;
            }
            Some(Piece::End) => {
                socket.write_all(b"0\r\n\r\n").await?;
                return Ok(Went::Well);
            }
            None => return Ok(Went::Closed),
        }
    }
}

/// Waits until the client closes its side.
async fn gone(socket: &mut TcpStream) {
    while !matches!(socket.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
}

/// Holds an answer back. Dropping it lets the answer go.
#[derive(Debug)]
pub struct Gate {
    opened: oneshot::Sender<()>,
}

impl Gate {
    /// Lets the answer begin.
    pub fn open(self) {
        // The client may have left, which is for the test to find out.
        let _ = self.opened.send(());
    }
}

/// The tap of a live answer. Dropping it breaks the connection off.
#[derive(Debug)]
pub struct Tap {
    pieces: mpsc::UnboundedSender<Piece>,
}

impl Tap {
    /// Sends bytes at once, as a chunk of their own.
    pub fn send(&self, bytes: impl Into<Bytes>) {
        // The client may have left, which is for the test to find out.
        let _ = self.pieces.send(Piece::Bytes(bytes.into()));
    }

    /// Sends an event with this `data`.
    pub fn event(&self, data: &str) {
        self.send(format!("data: {data}\n\n"));
    }

    /// Ends the answer as it should end.
    pub fn end(self) {
        let _ = self.pieces.send(Piece::End);
    }

    /// Ends the connection in the middle of the answer.
    pub fn break_off(self) {
        drop(self);
    }

    /// Waits until the client has left.
    pub async fn left(&self) {
        self.pieces.closed().await;
    }
}
