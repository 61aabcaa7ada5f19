//! Bodies of responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::progress::Progress;

/// As much as is made at a time: hyper holds a copy of it for each reader that is slow.
static ZEROS: [u8; 16384] = [0; 16384];

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

    /// So many zeros, made as they are sent, and each time that some are there is `progress`.
    pub fn zeros(count: u64, progress: Progress) -> Self {
        Body { first: Bytes::new(), zeros: count, progress: Some(progress) }
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
            Bytes::from_static(&ZEROS[..n as usize])
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
