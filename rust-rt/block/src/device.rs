//! What every disk offers.

use super::Buffer;
use alloc::{boxed::Box, rc::Rc, vec::Vec};
use core::{fmt, ptr::NonNull, task::Waker};

/// Bytes of the sectors that [`Io`] and [`Info`] count in, whatever the disk's own are.
pub const SECTOR: u64 = 512;

/// Whether requests are served now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not connected, or not yet connected again. Requests wait.
    Down,
    /// Connected.
    Up,
    /// Closed for good.
    Closed,
}

/// How sectors can be discarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Discard {
    /// Granularity, in bytes.
    pub granularity: u32,
    /// Bytes from the disk's beginning to the first such unit.
    pub alignment: u32,
    /// It can be done so that no copy remains.
    pub secure: bool,
}

/// The properties of a disk. They may change when the disk is connected again; the number of sectors may
/// change at any time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Whether requests are served now. Before the first connection the other fields mean nothing.
    pub state: State,
    /// The size, in units of 512 bytes ([`SECTOR`]).
    pub sectors: u64,
    /// Bytes of the disk's own sectors, 512 to 4096: what requests have to be aligned to.
    pub sector_size: u32,
    /// Bytes that the medium itself writes at a time: a multiple of `sector_size`. Smaller writes are slower, and
    /// may be torn by a loss of power.
    pub physical_sector_size: u32,
    /// The disk is read-only.
    pub read_only: bool,
    /// It is a CD.
    pub cdrom: bool,
    /// The disk has a volatile cache, which [`Op::Flush`] writes out. Without one, completed writes are stable.
    pub flush: bool,
    /// How sectors can be discarded, if they can.
    pub discard: Option<Discard>,
    /// Bytes of the largest request that the disk takes in one piece. Larger ones are split.
    pub transfer_max: usize,
}

impl Info {
    /// Of a disk that has not been connected.
    pub const NONE: Info = Info {
        state: State::Down,
        sectors: 0,
        sector_size: 512,
        physical_sector_size: 512,
        read_only: false,
        cdrom: false,
        flush: false,
        discard: None,
        transfer_max: 4096,
    };

    /// Why a request cannot be served by such a disk, if it cannot.
    pub fn check(&self, io: &Io) -> Result<(), Error> {
        if io.op == Op::Flush {
            return Ok(());
        }
        if io.op != Op::Read && self.read_only {
            return Err(Error::ReadOnly);
        }
        let unit = u64::from(self.sector_size) / SECTOR;
        if io.sector % unit != 0 || io.sectors % unit != 0 {
            return Err(Error::Misaligned);
        }
        if io.sector.checked_add(io.sectors).is_none_or(|end| end > self.sectors) {
            return Err(Error::OutOfRange);
        }
        match io.op {
            Op::Flush | Op::Zero => Ok(()),
            Op::Discard { secure } => match self.discard {
                Some(discard) if discard.secure || !secure => Ok(()),
                Some(_) | None => Err(Error::Unsupported),
            },
            Op::Read | Op::Write => {
                let aligned = |piece: &Fragment| piece.len % self.sector_size as usize == 0;
                let len: usize = io.memory.iter().map(|piece| piece.len).sum();
                if io.memory.iter().all(aligned) && len as u64 == io.sectors * SECTOR {
                    Ok(())
                } else {
                    Err(Error::Misaligned)
                }
            }
        }
    }
}

/// What a disk can be asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Fill the memory.
    Read,
    /// Store the memory.
    Write,
    /// Make all writes submitted before this request stable.
    Flush,
    /// Write zeros.
    Zero,
    /// Discard the sectors: their contents are undefined until they are written again.
    Discard {
        /// No copy may remain.
        secure: bool,
    },
}

/// Why a request was not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Sectors that the disk does not have.
    OutOfRange,
    /// Not a whole number of the disk's sectors.
    Misaligned,
    /// The disk cannot be written.
    ReadOnly,
    /// The disk cannot do this.
    Unsupported,
    /// The disk failed: a bad sector, or a backend whose storage is full.
    Io,
    /// Of a flush: the backend has vanished, perhaps together with completed writes that were not flushed. Reported
    /// once; later flushes are about later writes.
    Lost,
    /// No memory, or no grants, for the request.
    NoMemory,
    /// The disk was closed.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::OutOfRange => "outside of the disk",
            Error::Misaligned => "not a whole number of sectors",
            Error::ReadOnly => "the disk is read-only",
            Error::Unsupported => "the disk cannot do this",
            Error::Io => "input/output error",
            Error::Lost => "the disk's other end has vanished with writes that were not flushed",
            Error::NoMemory => "no memory for the request",
            Error::Closed => "the disk is closed",
        })
    }
}

impl core::error::Error for Error {}

/// Memory of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// The first byte.
    pub addr: NonNull<u8>,
    /// How many bytes: a multiple of the disk's sector size.
    pub len: usize,
    /// The pages that it touches hold nothing else, so that another domain may see them whole. Of other
    /// memory, only whole pages are shown; the rest is copied.
    pub alone: bool,
}

/// Called at the end of a request, with the buffer that came with it. It runs inside the domain's poll.
pub type Done = Box<dyn FnOnce(Result<(), Error>, Option<Buffer>)>;

/// A request.
pub struct Io {
    /// What to do.
    pub op: Op,
    /// The first sector, in units of [`SECTOR`].
    pub sector: u64,
    /// How many, in the same units. 0 for a flush.
    pub sectors: u64,
    /// Of a read or a write: `sectors` sectors in all.
    pub memory: Vec<Fragment>,
    /// Keeps the memory, if the request owns it.
    pub buffer: Option<Buffer>,
    /// Called at the end.
    pub done: Done,
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Io { op, sector, sectors, .. } = self;
        write!(f, "{op:?} of {sectors} sectors at {sector}")
    }
}

/// A disk's counters since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Counters {
    /// Successful reads.
    pub reads: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Successful writes, including zeros.
    pub writes: u64,
    /// Their bytes.
    pub written_bytes: u64,
    /// Successful flushes.
    pub flushes: u64,
    /// Successful discards.
    pub discards: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests as the backend saw them, after splitting and merging.
    pub requests: u64,
    /// Bytes that were copied.
    pub copied: u64,
    /// Pages granted to the backend.
    pub grants: u64,
    /// Notifications sent: one hypercall each. On Unix, times that requests were given to the kernel.
    pub notifications: u64,
    /// Notifications received.
    pub events: u64,
    /// Protocol violations by the peer.
    pub lies: u64,
    /// Times the disk was connected.
    pub connections: u64,
    /// Requests that were issued again on a new connection.
    pub reissued: u64,
}

impl Counters {
    /// The names of the fields, in their order.
    pub const NAMES: &'static [&'static str] = &[
        "reads",
        "read_bytes",
        "writes",
        "written_bytes",
        "flushes",
        "discards",
        "errors",
        "requests",
        "copied",
        "grants",
        "notifications",
        "events",
        "lies",
        "connections",
        "reissued",
    ];

    /// Counts a request that has ended.
    pub fn ended(&mut self, op: Op, bytes: u64, result: Result<(), Error>) {
        let (count, sum) = match (result, op) {
            (Err(_), _) => (&mut self.errors, None),
            (Ok(()), Op::Read) => (&mut self.reads, Some(&mut self.read_bytes)),
            (Ok(()), Op::Write | Op::Zero) => (&mut self.writes, Some(&mut self.written_bytes)),
            (Ok(()), Op::Flush) => (&mut self.flushes, None),
            (Ok(()), Op::Discard { .. }) => (&mut self.discards, None),
        };
        *count += 1;
        if let Some(sum) = sum {
            *sum += bytes;
        }
    }
}

const _: () = assert!(size_of::<Counters>() == 8 * Counters::NAMES.len());

/// A disk. All of it belongs to the domain's thread.
pub trait Device {
    /// Its properties.
    fn info(&self) -> Info;

    /// Submits a request. Its `done` is called at its end, never before this returns. Requests may be served in
    /// any order, except that a flush covers those submitted before it.
    ///
    /// # Safety
    ///
    /// The fragments must be valid, and nobody may use them but this device, until `done` is called.
    /// Those that are `alone` must be.
    unsafe fn submit(&self, io: Io);

    /// Wakes `waker`, once, when the state or the size changes.
    fn on_change(&self, waker: &Waker);

    /// The device's counters.
    fn counters(&self) -> Counters;

    /// Closes the disk: submitted requests end with an error, those that the backend is working on as soon as it
    /// releases their memory.
    fn close(&self);
}

/// A disk that several parts of a program use.
pub type Shared = Rc<dyn Device>;
