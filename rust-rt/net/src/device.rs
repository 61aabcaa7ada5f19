//! What every network device offers.

use super::pool::Lease;
use core::{fmt, mem::MaybeUninit, ops::BitOr, ptr::NonNull};

/// Bytes of an Ethernet header.
pub const ETHERNET_HEADER: usize = 14;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads a station's address: six pairs of hexadecimal digits with colons between them, and neither a group's
    /// nor all zeros.
    pub fn parse(text: &str) -> Option<Mac> {
        let mut octets = [0; 6];
        let mut pairs = text.trim().split(':');
        for octet in &mut octets {
            let pair = pairs.next()?;
            if pair.len() != 2 || !pair.bytes().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            *octet = u8::from_str_radix(pair, 16).ok()?;
        }
        let is_station = octets[0] & 1 == 0 && octets != [0; 6];
        (pairs.next().is_none() && is_station).then_some(Mac(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What the sender may leave to the device.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Features {
    /// Completing TCP and UDP checksums.
    pub checksum: bool,
    /// Segmenting large TCP packets over IPv4.
    pub tso4: bool,
    /// Segmenting large TCP packets over IPv6.
    pub tso6: bool,
}

/// Bytes of the largest IP packet that a device segments.
pub const MAX_GSO: usize = 65535 - ETHERNET_HEADER;

/// Whether frames can be sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// Not connected, or not yet connected again. Frames have to wait.
    Down,
    /// Connected.
    Up,
    /// Closed for good.
    Closed,
}

/// What may change only while the link is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Whether frames can be sent now.
    pub link: Link,
    /// The address of this end. Fixed once the link was up for the first time.
    pub mac: Mac,
    /// Bytes of the largest frame without its Ethernet header.
    pub mtu: usize,
    /// What may be left to the device.
    pub features: Features,
}

/// The state of the transport checksum of a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RxChecksum {
    /// Unknown: it has to be verified.
    Unknown,
    /// It has been verified.
    Valid,
    /// It was never completed (the field holds the sum of the pseudo-header), because the frame has
    /// not crossed a wire.
    Blank,
}

/// Where the bytes of a received frame are.
#[derive(Debug)]
pub enum Place {
    /// Copied to the slab, from this offset on.
    Slab(usize),
    /// In the device's own memory, until the lease ends.
    Lent(Lease),
}

/// A received frame: an Ethernet frame, or a large segment that stands for several.
#[derive(Debug)]
pub struct RxFrame {
    /// Where its bytes are, contiguously.
    pub place: Place,
    /// How many there are.
    pub len: usize,
    /// The state of the transport checksum.
    pub checksum: RxChecksum,
    /// For a large TCP segment: payload bytes in each packet that it was made of. Otherwise 0.
    pub gso_size: u16,
}

/// Memory that the receiver provides for frames that are copied.
#[derive(Debug)]
pub struct Slab<'a> {
    memory: &'a mut [MaybeUninit<u8>],
    used: usize,
}

impl<'a> Slab<'a> {
    /// Room for one frame of any kind, in bytes.
    pub const ROOM: usize = 1 << 16;

    /// A slab of which nothing is used yet.
    pub fn new(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        Slab { memory, used: 0 }
    }

    /// Bytes used from the start on.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether `len` more bytes fit.
    pub fn fits(&self, len: usize) -> bool {
        len <= self.memory.len() - self.used
    }

    /// The part that is not used.
    pub fn rest(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.memory[self.used..]
    }

    /// Uses up the first `len` bytes of the rest, which have been written; returns where they
    /// begin. The next ones begin at a multiple of 8.
    pub fn take(&mut self, len: usize) -> usize {
        assert!(self.fits(len), "the slab is full");
        let start = self.used;
        self.used = (start + len).next_multiple_of(8).min(self.memory.len());
        start
    }
}

/// How far [`Device::receive`] got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// There are no more frames; a signal follows when there are.
    All,
    /// There may be more.
    More,
    /// The slab has no room for the next frame.
    SlabFull,
}

/// A stretch of payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// Its first byte.
    pub addr: NonNull<u8>,
    /// Its length in bytes.
    pub len: usize,
}

/// A checksum that the device is to complete: the sum over everything from `start` to the end of
/// the frame. The field holds the sum of the pseudo-header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxChecksum {
    /// Where the transport header begins, in bytes from the start of the frame.
    pub start: usize,
    /// Where the field is, in bytes from `start`.
    pub offset: usize,
}

/// A frame to send: a head that was reserved from the device, followed by payload.
#[derive(Clone, Copy, Debug)]
pub struct TxFrame<'a> {
    /// What [`Device::reserve`] returned.
    pub head: usize,
    /// Bytes of the head, no more than were reserved.
    pub head_len: usize,
    /// The rest of the frame.
    pub payload: &'a [Fragment],
    /// What is left of the checksum, if anything.
    pub checksum: Option<TxChecksum>,
    /// For a large TCP segment: payload bytes of each packet to be made of it. Otherwise 0.
    pub gso_size: u16,
}

impl TxFrame<'_> {
    /// Bytes of the whole frame.
    pub fn len(&self) -> usize {
        self.payload.iter().fold(self.head_len, |sum, part| sum.saturating_add(part.len))
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a frame was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// There is no room now, or no link. [`News::ROOM`] says when to try again.
    Full,
    /// Empty, or longer than the device can send.
    Length,
    /// The device was closed.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Full => "the device has no room now",
            SendError::Length => "a length that the device cannot send",
            SendError::Closed => "the device was closed",
        })
    }
}

impl core::error::Error for SendError {}

/// What has happened since the last call of [`Device::news`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct News(u32);

impl News {
    /// There may be frames to receive.
    pub const FRAMES: News = News(1);
    /// There is room again, after a sender was refused.
    pub const ROOM: News = News(2);
    /// Payload has been sent and waits in [`Device::completed`].
    pub const COMPLETED: News = News(4);
    /// The link has changed, and with it perhaps the MTU and the features.
    pub const LINK: News = News(8);
    /// Much of what can be lent is lent: frames that are held unnecessarily (by a collector that has not
    /// run) should be released.
    pub const PRESSURE: News = News(16);
    /// Frames are copied because so much is lent.
    pub const SHORTAGE: News = News(32);

    /// The bits as they cross the C ABI.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` has happened.
    pub const fn contains(self, other: News) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing has happened.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for News {
    type Output = News;

    fn bitor(self, other: News) -> News {
        News(self.0 | other.0)
    }
}

impl core::ops::BitOrAssign for News {
    fn bitor_assign(&mut self, other: News) {
        self.0 |= other.0;
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A device's counters since it was opened. Frames and bytes are those of Ethernet; a large segment is one
        /// frame.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[repr(C)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// The names of the fields, in order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];
        }
    };
}

counters! {
    /// Frames received.
    rx_frames,
    /// Bytes received.
    rx_bytes,
    /// Of the frames, large segments.
    rx_gso,
    /// Bytes received that were copied.
    rx_copied,
    /// Received frames that were lost: malformed, or failed at the backend.
    rx_dropped,
    /// Frames sent.
    tx_frames,
    /// Bytes sent.
    tx_bytes,
    /// Of the frames, large segments.
    tx_gso,
    /// Bytes of payload that were copied to be sent.
    tx_copied,
    /// Frames that the backend did not send, or that were in flight when it went away.
    tx_dropped,
    /// Times a sender was refused because there was no room.
    tx_full,
    /// Notifications sent (Xen: hypercalls; TAP: none).
    notifications,
    /// Notifications received.
    events,
    /// System calls (TAP only).
    syscalls,
    /// Pages granted to the backend.
    grants,
    /// Grants ended.
    grant_ends,
    /// Protocol violations by the peer.
    lies,
    /// Times the link came up.
    links,
}

/// A network device.
///
/// Its methods belong to the domain's thread and never block. None of them may be called from the closure
/// that is passed to [`receive`](Self::receive).
pub trait Device {
    /// The state of the link and what depends on it.
    fn info(&self) -> Info;

    /// The memory that heads are reserved from: its address and size. It never moves, and stays
    /// readable and writable for ever.
    fn heads(&self) -> (NonNull<u8>, usize);

    /// Memory for the head of a frame, `len` bytes, as an offset in [`heads`](Self::heads). `None`
    /// if there is no room (which counts as having been refused), or `len` is more than a frame
    /// can have. The next call invalidates what was not sent.
    fn reserve(&self, len: usize) -> Option<usize>;

    /// Memory for the next head that needs no [`reserve`](Self::reserve): where it is, and how many bytes. `None` if
    /// there is none without an effort; nobody has been refused then. As `reserve`, it invalidates what was reserved
    /// and not sent, and it is gone with the next frame, or with the link.
    fn next_head(&self) -> Option<(usize, usize)>;

    /// Sends a frame; it goes out with the next [`flush`](Self::flush) at the latest. Returns a number if the
    /// device reads the payload in place, until [`completed`](Self::completed) returns this number; without one
    /// the payload is no longer needed.
    ///
    /// # Safety
    ///
    /// The payload must stay valid and unchanged until then.
    unsafe fn send(&self, frame: &TxFrame<'_>) -> Result<Option<u16>, SendError>;

    /// A number from [`send`](Self::send) whose payload is no longer needed.
    fn completed(&self) -> Option<u16>;

    /// Makes what was done since the last call visible to the backend, and notifies it if necessary.
    fn flush(&self);

    /// Passes every frame that has arrived to `out`, but at most `max`.
    fn receive(&self, max: usize, slab: &mut Slab<'_>, out: &mut dyn FnMut(RxFrame)) -> Received;

    /// What has happened since the last call.
    fn news(&self) -> News;

    /// The counters.
    fn counters(&self) -> Counters;

    /// Starts or stops accepting frames to a group, if the device filters them.
    fn multicast(&self, group: Mac, join: bool);

    /// Closes the device. What was sent and not flushed is lost. Idempotent.
    fn close(&self);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn mac_is_read_as_it_is_written() {
        let mac = Mac([0, 0x16, 0x3e, 0xab, 0xcd, 0xef]);
        assert_eq!(Mac::parse("00:16:3e:AB:cd:ef"), Some(mac));
        assert_eq!(mac.to_string(), "00:16:3e:ab:cd:ef");
        let bad = [
            "",
            "00:16:3e:ab:cd",
            "00:16:3e:ab:cd:ef:01",
            "0:16:3e:ab:cd:ef",
            "00:16:3e:ab:cd:+f",
            "01:16:3e:ab:cd:ef",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
        ];
        for text in bad {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }

    #[test]
    fn slab_is_used_in_multiples_of_eight_and_never_beyond_its_end() {
        let mut memory = [MaybeUninit::new(0); 20];
        let mut slab = Slab::new(&mut memory);
        assert_eq!((slab.take(3), slab.used()), (0, 8));
        assert_eq!((slab.take(8), slab.used()), (8, 16));
        assert!(slab.fits(4) && !slab.fits(5));
        assert_eq!((slab.take(4), slab.used()), (16, 20));
        assert!(slab.fits(0) && !slab.fits(1) && slab.rest().is_empty());
    }
}
