//! An answer of the other side: its head, and a body that may neither fall silent nor grow without end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::Body as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::transport::Body;
use super::{Fault, retry};

/// What a longer bound counts as: there is a last instant, and a program may want to wait until after it.
const LONGEST_SILENCE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An answer, of which the head has come.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: AnswerBody,
    /// Whether the request was repeated before this answer came.
    pub retried: bool,
}

/// Its status and the names of its headers.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>())
            .field("retried", &self.retried)
            .finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn new(response: Response<Body>, idle: Duration) -> Self {
        let (head, body) = response.into_parts();
        let length = body.size_hint().exact();
        Self {
            status: head.status,
            headers: head.headers,
            body: AnswerBody {
                length,
                inner: Box::pin(body),
                idle: idle.min(LONGEST_SILENCE),
                deadline: None,
                sleep: None,
            },
            retried: false,
        }
    }

    /// How long the other side asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(&self.headers)
    }
}

/// The body of an answer: a stream of its bytes, decoded, that fails when nothing comes for too long.
///
/// Dropping it before its end closes the connection, or resets its stream where that is HTTP/2.
pub struct AnswerBody {
    /// What the head says of the body as it comes here: nothing if it is compressed or comes in chunks.
    length: Option<u64>,
    inner: Pin<Box<Body>>,
    idle: Duration,
    /// When the silence that began with the last `Pending` has lasted too long.
    deadline: Option<Instant>,
    /// Never later than the deadline. Moved only when it fires: bytes come far more often than timers should move.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Stream for AnswerBody {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Poll::Ready(frame) = this.inner.as_mut().poll_frame(cx) {
            this.deadline = None;
            let bytes = match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(Fault::BrokeOff))),
                Some(Ok(frame)) => frame.into_data(),
            };
            // Anything else is a trailer.
            if let Ok(bytes) = bytes {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
        let deadline = *this.deadline.get_or_insert_with(|| Instant::now() + this.idle);
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(Some(Err(Fault::IdleTimeout)));
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl AnswerBody {
    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// If it is larger than `limit` bytes, breaks off or falls silent.
    pub async fn read(mut self, limit: usize) -> Result<Bytes, Fault> {
        if self.length.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit)) {
            return Err(Fault::TooLarge);
        }
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let mut whole = BytesMut::new();
        let mut last = first;
        loop {
            if whole.len().saturating_add(last.len()) > limit {
                return Err(Fault::TooLarge);
            }
            match self.next().await.transpose()? {
                // Most answers come in one piece, which then needs no copy.
                None if whole.is_empty() => return Ok(last),
                None => {
                    whole.extend_from_slice(&last);
                    return Ok(whole.freeze());
                }
                Some(next) => {
                    whole.extend_from_slice(&last);
                    last = next;
                }
            }
        }
    }

    /// Gives up a body of which everything that matters has come, so that its connection can be used again if only the
    /// end is outstanding.
    pub(crate) fn release(mut self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        const PIECES: usize = 8;
        for _ in 0..PIECES {
            match self.next().now_or_never() {
                Some(Some(Ok(_))) => {}
                Some(None | Some(Err(_))) => return,
                None => {
                    tokio::spawn(tokio::time::timeout(PATIENCE, async move {
                        let mut rest = self.take(PIECES);
                        while let Some(Ok(_)) = rest.next().await {}
                    }));
                    return;
                }
            }
        }
    }
}
