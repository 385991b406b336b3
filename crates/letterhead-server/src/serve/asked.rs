//! Has a connection asked for something, whole? Half a request is nothing that is answered, unless it is answered as it is.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

/// Whether a request of a connection has come whole, or as far as its handler reads it: who was answered once may finish the
/// next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Watches the body of a request whose head has come.
    pub(super) fn watch(&self, body: Incoming) -> Body {
        self.0.fetch_or(body.is_end_stream(), Ordering::Relaxed);
        Body::new(Watched { body, asked: self.clone() })
    }
}

/// The body of a request. It ends when it was read, or when nobody will.
struct Watched {
    body: Incoming,
    asked: Asked,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.asked.0.store(true, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::extract::Request;
    use hyper::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Is a request whole of whose body this has come, once a handler that does not read it has answered?
    async fn is_whole(body: &str) -> bool {
        let (near, mut far) = duplex(1024);
        let asked = Asked::default();
        let service = service_fn(|request: Request<Incoming>| {
            drop(request.map(|body| asked.watch(body)));
            async { Ok::<_, Infallible>(Response::new(Body::empty())) }
        });
        let head = "GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n";
        far.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let connection = http1::Builder::new().serve_connection(TokioIo::new(near), service);
        let mut status = [0; 12];
        let served = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = served => {}
            read = far.read_exact(&mut status) => assert_eq!(read.unwrap(), status.len()),
        }
        assert_eq!(&status, b"HTTP/1.1 200");
        asked.is_whole()
    }

    #[tokio::test]
    async fn who_is_answered_has_asked_whether_or_not_the_body_was_of_interest() {
        for body in ["", "he", "hello"] {
            assert!(is_whole(body).await, "{body}");
        }
    }
}
