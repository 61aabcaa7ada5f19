//! What the traits of futures-io, tokio and hyper have in common, apart from names.

/// A trait's functions for writing, in its `impl` for `$type`; the one that ends the direction is called `$end`.
macro_rules! write_side {
    ($type:ty, $end:ident) => {
        fn poll_write(
            mut self: ::std::pin::Pin<&mut Self>,
            cx: &mut ::std::task::Context<'_>,
            buf: &[u8],
        ) -> ::std::task::Poll<::std::io::Result<usize>> {
            <$type>::poll_write(&mut self, cx, buf).map_err(::std::io::Error::from)
        }

        fn poll_write_vectored(
            mut self: ::std::pin::Pin<&mut Self>,
            cx: &mut ::std::task::Context<'_>,
            parts: &[::std::io::IoSlice<'_>],
        ) -> ::std::task::Poll<::std::io::Result<usize>> {
            <$type>::poll_write_vectored(&mut self, cx, parts).map_err(::std::io::Error::from)
        }

        fn poll_flush(
            self: ::std::pin::Pin<&mut Self>,
            _: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<::std::io::Result<()>> {
            ::std::task::Poll::Ready(Ok(()))
        }

        fn $end(
            self: ::std::pin::Pin<&mut Self>,
            _: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<::std::io::Result<()>> {
            ::std::task::Poll::Ready(self.finish().map_err(::std::io::Error::from))
        }
    };
}

/// A trait's functions for reading in place, in its `impl` for `$type`.
#[cfg(any(feature = "futures-io", feature = "tokio"))]
macro_rules! fill_side {
    ($type:ty) => {
        fn poll_fill_buf(
            self: ::std::pin::Pin<&mut Self>,
            cx: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<::std::io::Result<&[u8]>> {
            let this = self.get_mut();
            ::std::task::ready!(this.poll_fill(cx))?;
            ::std::task::Poll::Ready(Ok(this.rest()))
        }

        fn consume(mut self: ::std::pin::Pin<&mut Self>, n: usize) {
            <$type>::consume(&mut self, n);
        }
    };
}

#[cfg(any(feature = "futures-io", feature = "tokio"))]
pub(super) use fill_side;
pub(super) use write_side;
