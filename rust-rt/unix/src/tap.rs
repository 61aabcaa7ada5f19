//! A TAP interface of Linux (`linux/if_tun.h`), with offloads by a virtio-net header in front of
//! each frame (Virtual I/O Device specification 1.2, section 5.1.6).
//!
//! Frames are read straight into the receiver's slab and written from where they lie: the kernel
//! copies, once each way. That header lies in front of the frame both ways, and what is short is written from one place:
//! a list of places costs the kernel more than the copy.

use crate::company::Company;
use crate::process;
use crate::reactor::reactor;
use crate::readiness::Readiness;
use crate::sys::{Descriptor, Errno, RawFd};
use crate::watch::Watch;
use alloc::{
    alloc::{Layout, alloc_zeroed},
    rc::Rc,
    string::String,
    vec::Vec,
};
use core::{
    cell::RefCell,
    ffi::{CStr, c_ulong},
    fmt,
    mem::MaybeUninit,
    ptr::{self, NonNull},
};
use host_libc as libc;
use mirust_executor::domain;
use mirust_net::{
    Counters, Device, Features, Info, Link, Mac, News, Place, Received, RxChecksum, RxFrame,
    SendError, Slab, TxFrame,
    device::{ETHERNET_HEADER, MAX_GSO},
};

/// Bytes of the virtio-net header.
const VNET: usize = 10;
/// Where the head of the frame at hand begins, behind its virtio-net header.
const HEAD: usize = 16;
/// Memory for both.
const HEAD_MAX: usize = HEAD + (1 << 16);
/// The most payload that is copied behind its head.
const COPIED: usize = 1024;
/// Pieces that one system call takes (`UIO_MAXIOV`), without the headers.
const PIECES_MAX: usize = 1000;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// The segment's TCP uses explicit congestion notification.
const GSO_ECN: u8 = 0x80;

/// Why an interface could not be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Interfaces have 1 to 15 bytes for a name.
    Name,
    /// Making the interface of this name takes the capability `CAP_NET_ADMIN`; using one that belongs to the
    /// user does not. The text has the command by which root makes one.
    NotPermitted(String),
    /// There is nothing to ask for an interface, or this user may not.
    NoTun(Errno),
    /// What was attempted, and the system call's error.
    System(&'static str, Errno),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Name => f.write_str("not the name of a network interface"),
            OpenError::NotPermitted(name) => {
                // SAFETY: takes nothing, and cannot fail.
                let user = unsafe { libc::syscall(libc::SYS_geteuid) };
                write!(f, "not permitted; as root: ip tuntap add dev {name} mode tap user {user}")
            }
            OpenError::NoTun(errno) => {
                write!(f, "/dev/net/tun: {errno}; as root: modprobe tun; chmod 666 /dev/net/tun")
            }
            OpenError::System(what, errno) => write!(f, "{what}: {errno}"),
        }
    }
}

impl core::error::Error for OpenError {}

/// A TAP interface.
pub struct Tap {
    name: String,
    head: NonNull<u8>,
    inner: RefCell<Inner>,
}

struct Inner {
    /// `None` once the device is closed.
    fd: Option<Rc<Watch>>,
    info: Info,
    news: News,
    counters: Counters,
    full: bool,
    /// All frames were taken, as far as is known: the next ones are news.
    drained: bool,
    /// Frames that the last `receive` found.
    last: usize,
    /// What is there now has come one by one of late.
    alone: bool,
    company: Company,
    reserved: usize,
    /// Where a frame lies; kept for its allocation.
    vectors: Vec<Vector>,
}

/// Opens the interface `name`; makes it if it does not exist. `mac` is the address of this end, which
/// is not the interface's own (that is the kernel's end); without one it is made up at random.
pub fn open(name: &str, mac: Option<Mac>) -> Result<Rc<Tap>, OpenError> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        return Err(OpenError::Name);
    }
    let fd = sys::open_tap(name)?;
    let mac = mac.unwrap_or_else(|| {
        let mut octets = [0; 6];
        process::random(&mut octets);
        // Locally administered, and not a group.
        octets[0] = octets[0] & 0xfc | 2;
        Mac(octets)
    });
    let features = Features { checksum: true, tso4: true, tso6: true };
    let info = Info { link: Link::Up, mac, mtu: sys::mtu(name).unwrap_or(1500), features };
    let layout = Layout::from_size_align(HEAD_MAX, 64).expect("a constant that is right");
    // SAFETY: the layout is not empty.
    let head = NonNull::new(unsafe { alloc_zeroed(layout) })
        .ok_or(OpenError::System("memory", Errno(libc::ENOMEM)))?;
    let inner = Inner {
        fd: None,
        info,
        news: News::LINK,
        counters: Counters { links: 1, ..Counters::default() },
        full: false,
        drained: true,
        last: 0,
        alone: false,
        company: Company::default(),
        reserved: 0,
        vectors: Vec::new(),
    };
    let tap = Rc::new(Tap { name: name.into(), head, inner: RefCell::new(inner) });
    let this = Rc::downgrade(&tap);
    let told = move |ready| {
        if let Some(tap) = this.upgrade() {
            tap.ready(ready);
        }
    };
    let watch = Watch::new(fd, told).map_err(|errno| OpenError::System("epoll", errno))?;
    watch.want(true, false).map_err(|errno| OpenError::System("epoll", errno))?;
    tap.inner.borrow_mut().fd = Some(Rc::new(watch));
    domain::signal_foreign();
    Ok(tap)
}

impl Tap {
    /// The device ends, and says why.
    fn fail(&self, what: &str, error: Errno) {
        if self.inner.borrow().fd.is_some() {
            log::error!("{}: the interface {what}: {error}; the device is closed", self.name);
            self.close();
        }
    }

    /// There is something to read, or room to write: tells the stack.
    fn ready(&self, ready: Readiness) {
        let mut inner = self.inner.borrow_mut();
        let mut news = News::default();
        if ready.readable && inner.drained {
            inner.drained = false;
            inner.alone = inner.last <= 1 && (reactor().slept() || inner.company.is_unlikely());
            inner.counters.events += 1;
            news |= News::FRAMES;
        }
        if ready.writable && inner.full {
            inner.full = false;
            news |= News::ROOM;
        }
        inner.news |= news;
        drop(inner);
        if news.is_empty() {
            // It was told, and the stack has not come to it yet: the kernel need not repeat it.
            self.watch();
        } else {
            domain::signal_foreign();
        }
    }

    /// The stack has all frames, and is told of the next.
    fn drained(&self) {
        self.inner.borrow_mut().drained = true;
        self.watch();
    }

    /// Has what the device waits for be told.
    fn watch(&self) {
        let inner = self.inner.borrow();
        let wanted = inner.fd.as_ref().map(|fd| fd.want(inner.drained, inner.full));
        drop(inner);
        if let Some(Err(error)) = wanted {
            self.fail("cannot be waited for", error);
        }
    }
}

/// A stretch of memory, for the kernel.
#[repr(transparent)]
struct Vector(libc::iovec);

impl Vector {
    fn new(base: *mut u8, len: usize) -> Self {
        Vector(libc::iovec { iov_base: base.cast(), iov_len: len })
    }
}

/// Whether an error will pass: the kernel had no memory, or a signal came in between.
fn passes(error: Errno) -> bool {
    matches!(error, Errno::INTR | Errno(libc::ENOMEM | libc::ENOBUFS))
}

impl Device for Tap {
    fn info(&self) -> Info {
        self.inner.borrow().info
    }

    fn heads(&self) -> (NonNull<u8>, usize) {
        (self.head, HEAD_MAX)
    }

    fn reserve(&self, len: usize) -> Option<usize> {
        let mut inner = self.inner.borrow_mut();
        if len > inner.info.mtu + ETHERNET_HEADER || inner.fd.is_none() {
            return None;
        }
        inner.reserved = len;
        Some(HEAD)
    }

    fn next_head(&self) -> Option<(usize, usize)> {
        let mut inner = self.inner.borrow_mut();
        inner.fd.as_ref()?;
        inner.reserved = inner.info.mtu + ETHERNET_HEADER;
        Some((HEAD, inner.reserved))
    }

    unsafe fn send(&self, frame: &TxFrame<'_>) -> Result<Option<u16>, SendError> {
        let mut inner = self.inner.borrow_mut();
        let Some(fd) = inner.fd.clone() else { return Err(SendError::Closed) };
        let len = frame.len();
        let limit = if frame.gso_size > 0 { MAX_GSO } else { inner.info.mtu };
        let pieces = frame.payload.len();
        if frame.head_len < ETHERNET_HEADER
            || frame.head_len > inner.reserved
            || len > limit + ETHERNET_HEADER
            || pieces > PIECES_MAX
        {
            return Err(SendError::Length);
        }
        let payload = len - frame.head_len;
        let (start, end) = (HEAD - VNET, HEAD + frame.head_len);
        let base = self.head.as_ptr();
        // SAFETY: `heads` is as large, was initialised, and nobody writes it during this call.
        let head = unsafe { core::slice::from_raw_parts(base.add(HEAD), frame.head_len) };
        let header = emit(frame, head);
        // SAFETY: the place in front of the head is there for it, and is nobody else's.
        unsafe { ptr::copy_nonoverlapping(header.as_ptr(), base.add(start), VNET) };
        let written = if payload <= COPIED && end + payload <= HEAD_MAX {
            let mut at = end;
            for part in frame.payload {
                // SAFETY: the caller promises that the bytes can be read. All of them together fit behind the head, which
                // nobody uses: only one frame at a time has been reserved.
                unsafe { ptr::copy(part.addr.as_ptr(), base.add(at), part.len) };
                at += part.len;
            }
            // SAFETY: header, head and payload have just been written there.
            let frame = unsafe { core::slice::from_raw_parts(base.add(start), at - start) };
            sys::write(fd.as_raw_fd(), frame)
        } else {
            let vectors = &mut inner.vectors;
            vectors.clear();
            // SAFETY: within `heads`.
            vectors.push(Vector::new(unsafe { base.add(start) }, end - start));
            let parts = frame.payload.iter();
            vectors.extend(parts.map(|part| Vector::new(part.addr.as_ptr(), part.len)));
            // SAFETY: the first is valid, the rest by the caller's promise; the kernel only reads.
            unsafe { sys::writev(fd.as_raw_fd(), vectors) }
        };
        inner.counters.syscalls += 1;
        match written {
            Ok(_) => {
                inner.counters.tx_frames += 1;
                inner.counters.tx_bytes += len as u64;
                inner.counters.tx_gso += u64::from(frame.gso_size > 0);
                Ok(None)
            }
            Err(Errno::AGAIN) => {
                inner.full = true;
                inner.counters.tx_full += 1;
                drop(inner);
                self.watch();
                Err(SendError::Full)
            }
            // There is no such interface any more.
            Err(error @ Errno(libc::EBADFD | libc::ENODEV)) => {
                drop(inner);
                self.fail("is gone", error);
                Err(SendError::Closed)
            }
            // The interface is down, or the kernel is out of memory: as on a cable, it is lost.
            Err(_) => {
                inner.counters.tx_dropped += 1;
                Ok(None)
            }
        }
    }

    fn completed(&self) -> Option<u16> {
        None
    }

    fn flush(&self) {}

    fn receive(&self, max: usize, slab: &mut Slab<'_>, out: &mut dyn FnMut(RxFrame)) -> Received {
        let Some(fd) = self.inner.borrow().fd.clone() else { return Received::All };
        let alone = core::mem::take(&mut self.inner.borrow_mut().alone);
        for frames in 0..max {
            self.inner.borrow_mut().last = frames;
            // It is cheaper to be told of another one, which there hardly is, than to ask.
            if alone && frames == 1 {
                self.inner.borrow_mut().company.not_looked();
                self.drained();
                return Received::All;
            }
            if !slab.fits(VNET + Slab::ROOM) {
                return Received::SlabFull;
            }
            let mut inner = self.inner.borrow_mut();
            inner.counters.syscalls += 1;
            let len = match sys::read(fd.as_raw_fd(), slab.rest()) {
                Ok(len) => len,
                Err(Errno::INTR) => continue,
                // It would come again at once, and for ever: a deleted interface is always ready.
                Err(error) if error != Errno::AGAIN && !passes(error) => {
                    drop(inner);
                    self.fail("is gone or cannot be read", error);
                    return Received::All;
                }
                Err(error) => {
                    if error != Errno::AGAIN {
                        inner.counters.rx_dropped += 1;
                    }
                    if frames == 1 {
                        inner.company.missed();
                    }
                    drop(inner);
                    self.drained();
                    return Received::All;
                }
            };
            if frames > 0 {
                inner.company.found();
            }
            let Some(len) = len.checked_sub(VNET).filter(|len| *len >= ETHERNET_HEADER) else {
                inner.counters.rx_dropped += 1;
                continue;
            };
            // SAFETY: the kernel has written that much.
            let header = unsafe { slab.rest().as_ptr().cast::<[u8; VNET]>().read() };
            let (checksum, gso_size) = parse(&header);
            let at = slab.take(VNET + len) + VNET;
            inner.counters.rx_frames += 1;
            inner.counters.rx_bytes += len as u64;
            inner.counters.rx_gso += u64::from(gso_size > 0);
            drop(inner);
            out(RxFrame { place: Place::Slab(at), len, checksum, gso_size });
        }
        Received::More
    }

    fn news(&self) -> News {
        core::mem::take(&mut self.inner.borrow_mut().news)
    }

    fn counters(&self) -> Counters {
        self.inner.borrow().counters
    }

    fn multicast(&self, _group: Mac, _join: bool) {}

    fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        if inner.fd.take().is_some() {
            inner.info.link = Link::Closed;
            inner.news |= News::LINK;
            domain::signal_foreign();
        }
    }
}

/// The virtio-net header of a frame to send.
fn emit(frame: &TxFrame<'_>, head: &[u8]) -> [u8; VNET] {
    let mut header = [0; VNET];
    if let Some(checksum) = frame.checksum {
        header[0] = NEEDS_CSUM;
        header[6..8].copy_from_slice(&(checksum.start as u16).to_ne_bytes());
        header[8..10].copy_from_slice(&(checksum.offset as u16).to_ne_bytes());
    }
    header[1] = match (frame.gso_size, &head[12..14]) {
        (0, _) => GSO_NONE,
        (_, [0x86, 0xdd]) => GSO_TCPV6,
        (_, _) => GSO_TCPV4,
    };
    // The length of all headers is a hint; the head has them, and perhaps some payload.
    header[2..4].copy_from_slice(&(frame.head_len as u16).to_ne_bytes());
    header[4..6].copy_from_slice(&frame.gso_size.to_ne_bytes());
    header
}

/// What the header of a received frame says. The kernel is not a stranger; what it cannot mean is
/// still no reason to fail.
fn parse(header: &[u8; VNET]) -> (RxChecksum, u16) {
    let checksum = match header[0] {
        flags if flags & NEEDS_CSUM != 0 => RxChecksum::Blank,
        flags if flags & DATA_VALID != 0 => RxChecksum::Valid,
        _ => RxChecksum::Unknown,
    };
    let size = u16::from_ne_bytes([header[4], header[5]]);
    match header[1] & !GSO_ECN {
        GSO_TCPV4 | GSO_TCPV6 => (checksum, size),
        _ => (checksum, 0),
    }
}

/// The system calls; by number, as in `sys.rs`.
mod sys {
    use super::*;

    fn check(result: isize) -> Result<usize, Errno> {
        usize::try_from(result).map_err(|_| {
            // SAFETY: the C library gives each thread its own errno.
            Errno(unsafe { *libc::__errno_location() })
        })
    }

    /// Reads into the buffer; as many bytes of it as are returned are initialised then.
    pub(super) fn read(fd: RawFd, buffer: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
        let (start, len) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the buffer is valid for writes, and nobody else's.
        check(unsafe { libc::syscall(libc::SYS_read, fd, start, len) } as isize)
    }

    pub(super) fn write(fd: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
        // SAFETY: the bytes are valid for reads.
        check(unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) } as isize)
    }

    /// # Safety
    ///
    /// The vectors must be valid for reads.
    pub(super) unsafe fn writev(fd: RawFd, vectors: &[Vector]) -> Result<usize, Errno> {
        let (list, count) = (vectors.as_ptr(), vectors.len());
        // SAFETY: as the caller promised; a vector is one of the kernel's.
        check(unsafe { libc::syscall(libc::SYS_writev, fd, list, count) } as isize)
    }

    fn request(name: &str) -> libc::ifreq {
        // SAFETY: all zeros is a value of this structure of integers.
        let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request
    }

    /// # Safety
    ///
    /// `argument` must be what the request takes.
    unsafe fn ioctl(
        fd: RawFd,
        what: &'static str,
        code: c_ulong,
        argument: *mut libc::c_void,
    ) -> Result<(), OpenError> {
        // SAFETY: as the caller promised.
        let result = unsafe { libc::syscall(libc::SYS_ioctl, fd, code, argument) };
        check(result as isize).map(drop).map_err(|errno| OpenError::System(what, errno))
    }

    pub(super) fn open_tap(name: &str) -> Result<Descriptor, OpenError> {
        const PATH: &CStr = c"/dev/net/tun";
        let flags = libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: the path ends in a zero byte.
        let raw = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, PATH.as_ptr(), flags) };
        let raw = check(raw as isize).map_err(OpenError::NoTun)? as RawFd;
        let fd = Descriptor::from_raw(raw);
        let mut tap = request(name);
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        tap.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: TUNSETIFF takes an ifreq.
        let set = unsafe { ioctl(raw, "TUNSETIFF", libc::TUNSETIFF, (&raw mut tap).cast()) };
        let set = set.map_err(|error| match error {
            OpenError::System(_, Errno(libc::EPERM)) => OpenError::NotPermitted(name.into()),
            error => error,
        });
        let offload = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
        let offload = core::ptr::without_provenance_mut(offload as usize);
        // SAFETY: TUNSETOFFLOAD takes a number.
        let set =
            set.and_then(|()| unsafe { ioctl(raw, "TUNSETOFFLOAD", libc::TUNSETOFFLOAD, offload) });
        set.map(|()| fd)
    }

    /// The MTU of an interface.
    pub(super) fn mtu(name: &str) -> Option<usize> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
        // SAFETY: takes three integers.
        let socket = unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, kind, 0) };
        let socket = check(socket as isize).ok()? as RawFd;
        let mut request = request(name);
        // SAFETY: SIOCGIFMTU takes an ifreq.
        let result =
            unsafe { ioctl(socket, "SIOCGIFMTU", libc::SIOCGIFMTU, (&raw mut request).cast()) };
        // SAFETY: opened above, and not used any more.
        unsafe { libc::syscall(libc::SYS_close, socket) };
        // SAFETY: SIOCGIFMTU has set this member.
        result.ok().and_then(|()| usize::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mirust_net::{Fragment, TxChecksum};

    fn frame(gso_size: u16, checksum: Option<TxChecksum>) -> TxFrame<'static> {
        TxFrame { head: 0, head_len: 54, payload: &[] as &[Fragment], checksum, gso_size }
    }

    #[test]
    fn header_of_a_large_segment() {
        let mut head = [0; 54];
        head[12..14].copy_from_slice(&[8, 0]);
        let checksum = Some(TxChecksum { start: 34, offset: 16 });
        assert_eq!(emit(&frame(1448, checksum), &head), [1, 1, 54, 0, 0xa8, 5, 34, 0, 16, 0]);
        head[12..14].copy_from_slice(&[0x86, 0xdd]);
        assert_eq!(emit(&frame(1428, checksum), &head)[1], 4);
        assert_eq!(emit(&frame(0, None), &head), [0, 0, 54, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn header_of_a_received_frame() {
        assert_eq!(parse(&[0; VNET]), (RxChecksum::Unknown, 0));
        assert_eq!(parse(&[1, 1, 0, 0, 0xa8, 5, 34, 0, 16, 0]), (RxChecksum::Blank, 1448));
        assert_eq!(parse(&[2, 0x84, 0, 0, 0x94, 5, 0, 0, 0, 0]), (RxChecksum::Valid, 1428));
        assert_eq!(parse(&[0, 3, 0, 0, 1, 0, 0, 0, 0, 0]), (RxChecksum::Unknown, 0), "UDP");
    }

    #[test]
    fn names_that_no_interface_can_have_are_refused() {
        for name in ["", "sixteen-bytes-xx", "a\0b"] {
            assert_eq!(open(name, None).err(), Some(OpenError::Name));
        }
    }
}
