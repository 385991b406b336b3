//! A client that writes HTTP/1.1 by hand, where bytes matter.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Answered, House};

/// A connection.
pub(crate) struct Wire(TcpStream);

impl House {
    /// A connection to the server.
    pub(crate) async fn wire(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends a request of these header lines and this body, and takes the answer until the connection ends.
    pub(crate) async fn raw(&self, path: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Answered {
        let mut wire = self.wire().await;
        wire.send(&request(path, headers, body)).await;
        parse(&wire.rest().await)
    }
}

/// A request to the byte, after which the connection ends.
pub(crate) fn request(path: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n").into_bytes();
    bytes.extend_from_slice(b"content-type: application/json\r\n");
    bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

impl Wire {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Sends what the server may refuse to take.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads until this text has come.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut piece = [0; 4096];
            let count = self.0.read(&mut piece).await.unwrap();
            assert!(count > 0, "it ended before `{text}`: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&piece[..count]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Reads until the connection ends, or is cut.
    pub(crate) async fn end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes).await;
        bytes
    }

    /// Reads until the connection ends as it should.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).await.unwrap();
        bytes
    }
}

/// Takes an answer apart.
#[track_caller]
pub(crate) fn parse(bytes: &[u8]) -> Answered {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect();
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answered::from_parts(StatusCode::from_u16(status).unwrap(), headers, body)
}

/// The content of chunks, as far as they came.
fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(more.get(..length).unwrap_or(more));
        rest = more.get(length + 2..).unwrap_or_default();
    }
    whole
}
