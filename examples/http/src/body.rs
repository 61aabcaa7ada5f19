//! Bodies of responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::progress::Progress;

/// Bytes generated at a time: hyper holds a copy of them for each slow reader. Made when first sent: a constant would
/// be in the image.
static ZEROS: LazyLock<Bytes> = LazyLock::new(|| vec![0; 16384].into());

/// Some bytes, and then zeros.
pub struct Body {
    first: Bytes,
    zeros: u64,
    progress: Option<Progress>,
}

impl Body {
    /// These bytes.
    pub fn whole(bytes: Bytes) -> Self {
        Body { first: bytes, zeros: 0, progress: None }
    }

    /// This many zeros, generated as they are sent.
    pub fn zeros(count: u64) -> Self {
        Body { first: Bytes::new(), zeros: count, progress: None }
    }

    /// Reports to `progress` each time that a part is generated, and when all of it has been.
    pub fn for_client(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(progress) =
            self.progress.take().filter(|_| self.first.is_empty() && self.zeros == 0)
        {
            progress.answered();
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(progress) = &self.progress {
            progress.made();
        }
        let first = std::mem::take(&mut self.first);
        let data = if first.is_empty() {
            let n = self.zeros.min(ZEROS.len() as u64);
            self.zeros -= n;
            ZEROS.slice(..n as usize)
        } else {
            first
        };
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.zeros == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.first.len() as u64 + self.zeros)
    }
}
