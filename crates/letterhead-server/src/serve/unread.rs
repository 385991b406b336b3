//! A connection that ends when what is written to it is not read: whoever stands still would keep an answer, and all that is
//! behind it, for as long as the process lives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose writes fail when nothing could be written for some time.
pub(super) struct Unread<S> {
    stream: S,
    patience: Duration,
    /// Since the stream takes no more.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Unread<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stuck: None }
    }
}

impl<S: Unpin> Unread<S> {
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), cx) {
            self.stuck = None;
            return Poll::Ready(written);
        }
        let patience = self.patience;
        ready!(self.stuck.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.bounded(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.bounded(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A socket has nothing to flush: only what was written is waited for.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, advance};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_let_go() {
        let (near, mut far) = duplex(4);
        let mut near = Unread::new(near, PATIENCE);
        let began = Instant::now();
        let error = near.write_all(b"more than four").await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
        // What was taken is there.
        let mut taken = [0; 4];
        far.read_exact(&mut taken).await.unwrap();
        assert_eq!(&taken, b"more");
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_gets_all_of_it() {
        let (near, mut far) = duplex(4);
        let mut near = Unread::new(near, PATIENCE);
        let text = b"as slow as it may be";
        let writing = tokio::spawn(async move { near.write_all(text).await });
        let mut read = Vec::new();
        while read.len() < text.len() {
            advance(PATIENCE - Duration::from_secs(1)).await;
            read.push(far.read_u8().await.unwrap());
        }
        writing.await.unwrap().unwrap();
        assert_eq!(read, text);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_no_fault() {
        let (near, mut far) = duplex(64);
        let mut near = Unread::new(near, PATIENCE);
        near.write_all(b"once").await.unwrap();
        advance(PATIENCE * 10).await;
        near.write_all(b" more").await.unwrap();
        let mut read = [0; 9];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"once more");
    }
}
