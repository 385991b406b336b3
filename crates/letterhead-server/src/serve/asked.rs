//! Has a connection asked for something? Half a request, of which the other half is waited for, is nothing that is answered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

/// Whether a request of a connection has come as far as its handler has read it: who was answered once may finish the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Watches the body of a request whose head has come.
    pub(super) fn watch(&self, body: Incoming) -> Body {
        let before = self.0.swap(true, Ordering::Relaxed);
        Body::new(Watched { body, asked: self.clone(), before })
    }
}

struct Watched {
    body: Incoming,
    asked: Asked,
    /// The connection has asked for something before.
    before: bool,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It was read, or nobody will.
        self.asked.0.store(true, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let has_come = frame.is_ready() || self.body.is_end_stream();
        self.asked.0.store(self.before || has_come, Ordering::Relaxed);
        frame
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
    use std::future::pending;
    use std::pin::pin;
    use std::time::Duration;

    use axum::extract::Request;
    use http_body_util::BodyExt;
    use hyper::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    /// Is a request whole of whose body this has come, once its handler has done this with it?
    async fn is_whole<F: Future<Output = ()>>(sent: &str, handle: impl Fn(Body) -> F) -> bool {
        let (near, mut far) = duplex(1024);
        let asked = Asked::default();
        let service = service_fn(|request: Request<Incoming>| {
            let handled = handle(asked.watch(request.into_body()));
            async {
                handled.await;
                pending::<Result<Response<Body>, Infallible>>().await
            }
        });
        let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n";
        far.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(near), service));
        assert!(timeout(Duration::from_secs(1), connection.as_mut()).await.is_err());
        asked.is_whole()
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_is_one_whose_handler_waits_for_the_rest() {
        let read = async |body: Body| assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        for (sent, is_all) in [("", false), ("he", false), ("hello", true)] {
            assert_eq!(is_whole(sent, read).await, is_all, "{sent}");
            assert!(is_whole(sent, async |body| drop(body)).await, "{sent}: it is not of interest");
            let later = async |body: Body| {
                pending::<()>().await;
                drop(body);
            };
            assert!(is_whole(sent, later).await, "{sent}: the handler is not there yet");
        }
    }
}
