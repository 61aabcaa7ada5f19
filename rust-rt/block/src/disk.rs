//! A disk as Rust code uses it.

use super::{Buffer, Counters, Done, Error, Fragment, Info, Io, Op, SECTOR, Shared, State};
use alloc::{boxed::Box, rc::Rc, vec, vec::Vec};
use core::{
    cell::RefCell,
    fmt,
    future::{Future, poll_fn},
    task::{Poll, Waker},
};

/// A disk, or rather a handle on one; cheap to clone.
///
/// Positions and lengths are in bytes, and multiples of the disk's [sector size](Info::sector_size);
/// only [`read_at`](Self::read_at) accepts any. While the backend is away, calls wait.
///
/// Every future here may be dropped at any time. Its request continues, on memory that the disk keeps: a read
/// has no effect, and a write may or may not happen.
///
/// A write is complete when its future is ready; it is stable once a later [`flush`](Self::flush) has succeeded.
///
/// ```
/// # use mirust_block::{Disk, Error};
/// /// Replaces the disk's first sector, for good.
/// async fn replace_first(disk: &Disk, text: &[u8]) -> Result<(), Error> {
///     let mut sector = vec![0; disk.ready().await?.sector_size as usize];
///     sector[..text.len()].copy_from_slice(text);
///     disk.write_at(0, &sector).await?;
///     disk.flush().await
/// }
/// ```
///
/// # Errors
///
/// Any request may fail with [`Error::OutOfRange`], [`Error::Io`], [`Error::NoMemory`] or [`Error::Closed`], and all
/// but [`read_at`](Self::read_at) with [`Error::Misaligned`]. Further errors are listed with each.
#[derive(Clone)]
pub struct Disk {
    device: Shared,
}

/// What a request leaves for its future.
#[derive(Default)]
struct Slot {
    result: Option<(Result<(), Error>, Option<Buffer>)>,
    waker: Option<Waker>,
}

impl Disk {
    /// A disk on a device.
    pub fn new(device: Shared) -> Disk {
        Disk { device }
    }

    /// The device.
    pub fn device(&self) -> &Shared {
        &self.device
    }

    /// The current properties of the disk.
    pub fn info(&self) -> Info {
        self.device.info()
    }

    /// The disk's counters.
    pub fn counters(&self) -> Counters {
        self.device.counters()
    }

    /// Waits until the disk is connected, or connected again.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`].
    pub async fn ready(&self) -> Result<Info, Error> {
        poll_fn(|cx| {
            let info = self.device.info();
            match info.state {
                State::Up => Poll::Ready(Ok(info)),
                State::Closed => Poll::Ready(Err(Error::Closed)),
                State::Down => {
                    self.device.on_change(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The size in bytes. It may change; 0 before the first connection.
    // A disk of no bytes is none.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.info().sectors * SECTOR
    }

    /// Reads `out.len()` bytes from `offset` on; neither needs to be aligned, but whole sectors are read.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let unit = u64::from(self.ready().await?.sector_size);
        let start = offset - offset % unit;
        let end = offset.checked_add(out.len() as u64).ok_or(Error::OutOfRange)?;
        let end = end.checked_next_multiple_of(unit).ok_or(Error::OutOfRange)?;
        let len = usize::try_from(end - start).map_err(|_| Error::OutOfRange)?;
        if out.is_empty() {
            return Ok(());
        }
        let buffer = Buffer::new(len).map_err(|_| Error::NoMemory)?;
        let buffer = self.read(start, buffer).await?;
        let skip = (offset - start) as usize;
        out.copy_from_slice(&buffer[skip..skip + out.len()]);
        Ok(())
    }

    /// Writes `data` from `offset` on. It is copied once, before this first waits.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], and those of any request.
    pub async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        let mut buffer = Buffer::new(data.len()).map_err(|_| Error::NoMemory)?;
        buffer.copy_from_slice(data);
        self.write(offset, buffer).await.map(drop)
    }

    /// Fills a buffer from `offset` on, without a copy where the disk allows.
    ///
    /// # Errors
    ///
    /// Those of any request; the buffer is dropped then.
    pub async fn read(&self, offset: u64, buffer: Buffer) -> Result<Buffer, Error> {
        let (result, buffer) = self.transfer(Op::Read, offset, buffer).await;
        result.map(|()| buffer.expect("a request returns its buffer"))
    }

    /// Writes a buffer from `offset` on, without a copy where the disk allows, and returns it.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], and those of any request; the buffer is dropped then.
    pub async fn write(&self, offset: u64, buffer: Buffer) -> Result<Buffer, Error> {
        let (result, buffer) = self.transfer(Op::Write, offset, buffer).await;
        result.map(|()| buffer.expect("a request returns its buffer"))
    }

    /// Makes all writes made before this call stable. Waits for writes in progress.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the backend vanished with completed writes that had not been flushed,
    /// [`Error::Unsupported`] if it refuses to flush, and those of any request.
    pub async fn flush(&self) -> Result<(), Error> {
        self.request(Op::Flush, 0, 0, Vec::new(), None).await.0
    }

    /// Discards `len` bytes from `offset` on: their contents are undefined until they are written again. With
    /// `secure` no copy remains.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the disk cannot do that, [`Error::ReadOnly`], and those of any request.
    pub async fn discard(&self, offset: u64, len: u64, secure: bool) -> Result<(), Error> {
        let (sector, sectors) = (sectors(offset)?, sectors(len)?);
        self.request(Op::Discard { secure }, sector, sectors, Vec::new(), None).await.0
    }

    /// Writes zeros to `len` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], and those of any request.
    pub async fn zero(&self, offset: u64, len: u64) -> Result<(), Error> {
        let (sector, sectors) = (sectors(offset)?, sectors(len)?);
        self.request(Op::Zero, sector, sectors, Vec::new(), None).await.0
    }

    /// Closes the disk, for all its users.
    pub fn close(&self) {
        self.device.close();
    }

    async fn transfer(
        &self,
        op: Op,
        offset: u64,
        buffer: Buffer,
    ) -> (Result<(), Error>, Option<Buffer>) {
        match (sectors(offset), sectors(buffer.len() as u64)) {
            (Ok(sector), Ok(count)) => {
                let fragment = Fragment { addr: buffer.addr(), len: buffer.len(), alone: true };
                self.request(op, sector, count, vec![fragment], Some(buffer)).await
            }
            (Err(error), _) | (_, Err(error)) => (Err(error), Some(buffer)),
        }
    }

    fn request(
        &self,
        op: Op,
        sector: u64,
        sectors: u64,
        memory: Vec<Fragment>,
        buffer: Option<Buffer>,
    ) -> impl Future<Output = (Result<(), Error>, Option<Buffer>)> + use<> {
        let slot = Rc::new(RefCell::new(Slot::default()));
        let theirs = slot.clone();
        let done: Done = Box::new(move |result, buffer| {
            let mut slot = theirs.borrow_mut();
            slot.result = Some((result, buffer));
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        });
        // SAFETY: the memory is the buffer's, which goes with the request, and has its pages to itself.
        unsafe { self.device.submit(Io { op, sector, sectors, memory, buffer, done }) };
        poll_fn(move |cx| {
            let mut slot = slot.borrow_mut();
            match slot.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    slot.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({:?})", self.info())
    }
}

/// Bytes as sectors.
fn sectors(bytes: u64) -> Result<u64, Error> {
    if bytes % SECTOR == 0 { Ok(bytes / SECTOR) } else { Err(Error::Misaligned) }
}
