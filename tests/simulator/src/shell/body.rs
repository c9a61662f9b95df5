//! A response body that comes at once, byte by byte, or only in part. Needs a tokio timer.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Pieces of a body with a wait before each, announced with the length of the whole.
pub(super) struct PacedBody {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Announced and not yet sent, in bytes.
    left: u64,
}

impl PacedBody {
    /// All of it, at once.
    pub(super) fn whole(body: &[u8]) -> Self {
        Self::new(std::iter::once(body), body.len(), Duration::ZERO)
    }

    /// The first `at` bytes, then, after `pause`, an error in place of the rest.
    pub(super) fn cut(body: &[u8], at: usize, pause: Duration) -> Self {
        let start = body.get(..at).unwrap_or(body);
        Self::new(std::iter::once(start), body.len(), pause)
    }

    /// Byte by byte, spread evenly over the time.
    pub(super) fn drip(body: &[u8], over: Duration) -> Self {
        let count = u32::try_from(body.len()).unwrap_or(u32::MAX).max(1);
        Self::new(body.chunks(1), body.len(), over / count)
    }

    fn new<'a>(pieces: impl Iterator<Item = &'a [u8]>, length: usize, pause: Duration) -> Self {
        let pieces = pieces.filter(|piece| !piece.is_empty());
        Self {
            pieces: pieces.map(Bytes::copy_from_slice).collect(),
            pause,
            waiting: None,
            left: u64::try_from(length).unwrap_or(u64::MAX),
        }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if !self.pause.is_zero() {
            let pause = self.pause;
            let wait = self.waiting.get_or_insert_with(|| Box::pin(sleep(pause)));
            ready!(wait.as_mut().poll(context));
            self.waiting = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            let cut = io::Error::other("the answer is cut on purpose");
            return Poll::Ready(Some(Err(cut)));
        };
        let sent = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(sent);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
