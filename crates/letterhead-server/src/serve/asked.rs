//! Has a connection asked for something, whole? Half a request is nothing that is answered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

/// Whether a request of a connection has come whole: who was answered once may finish the next one.
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

struct Watched {
    body: Incoming,
    asked: Asked,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.asked.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
