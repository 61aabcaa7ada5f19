//! The C ABI of network devices. Part of `include/mirust.h`, like [`abi`](crate::abi).
//!
//! A device is a number that `mirust_net_open` returned. What happens at it, and the frames that have arrived, are in
//! memory that OCaml reads when its part of a turn begins ([`frames`](crate::frames)). Sending a frame takes one call;
//! all frames go out together, at the end of OCaml's part.

use std::cell::RefCell;
use std::rc::Rc;
use std::slice;

use mirust_rt::net::{self, Device, Fragment, Info, Mac, SendError, TxChecksum, TxFrame, checksum};

use crate::abi::fill_struct;
use crate::frames::{MIRUST_NET_WORD_ROOM, Receiving, Words};
use crate::ocaml::net as values;
use crate::ocaml::net::Value;
use crate::turn;

/// In `features` of a MirustNetInfo: the device completes TCP and UDP checksums of frames sent.
pub const MIRUST_NET_CHECKSUM: u64 = 1;
/// In `features`: the device segments large TCP packets over IPv4.
pub const MIRUST_NET_TSO4: u64 = 2;
/// In `features`: the device segments large TCP packets over IPv6.
pub const MIRUST_NET_TSO6: u64 = 4;

/// Result of `mirust_net_send`: no room now; MIRUST_NET_ROOM reports when there is.
pub const MIRUST_NET_FULL: isize = -1;
/// Result of `mirust_net_send`: the frame is empty, or longer than the device can send.
pub const MIRUST_NET_INVALID_LENGTH: isize = -2;
/// Result of `mirust_net_send`: the device is closed.
pub const MIRUST_NET_DISCONNECTED: isize = -3;

/// The state of a device.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MirustNetInfo {
    /// 0: down, nothing can be sent; 1: up; 2: closed for good.
    pub link: u64,
    /// The address of this end, its first byte in bits 40 to 47. Zero before the first connection.
    pub mac: u64,
    /// Bytes of the largest frame without the Ethernet header.
    pub mtu: u64,
    /// MIRUST_NET_CHECKSUM and the like.
    pub features: u64,
}

/// What a device has counted since it was opened. A large segment is one frame.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MirustNetStats {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Large segments among them.
    pub rx_gso: u64,
    /// Bytes received that were copied.
    pub rx_copied: u64,
    /// Received frames that were lost.
    pub rx_dropped: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Large segments among them.
    pub tx_gso: u64,
    /// Bytes of payload that were copied to be sent.
    pub tx_copied: u64,
    /// Frames that the backend did not send.
    pub tx_dropped: u64,
    /// Times a sender was refused for want of room.
    pub tx_full: u64,
    /// Notifications sent: one hypercall each.
    pub notifications: u64,
    /// Notifications received.
    pub events: u64,
    /// System calls (Unix).
    pub syscalls: u64,
    /// Pages granted to the backend.
    pub grants: u64,
    /// Grants ended.
    pub grant_ends: u64,
    /// Protocol violations by the peer.
    pub lies: u64,
    /// Times the link came up.
    pub links: u64,
}

const _: () = assert!(size_of::<MirustNetStats>() == size_of::<net::Counters>());
const _: () = assert!(net::Counters::NAMES.len() == 18);

/// An open device, and what its calls keep between them.
pub(crate) struct Opened {
    pub(crate) device: Rc<dyn Device>,
    /// The payload of the frame at hand; kept for its allocation.
    payload: RefCell<Vec<Fragment>>,
    pub(crate) words: Words,
    pub(crate) receiving: RefCell<Receiving>,
}

crate::local::domain_local! {
    static DEVICES: RefCell<Vec<Rc<Opened>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn opened(handle: isize) -> Rc<Opened> {
    let opened = usize::try_from(handle).ok().and_then(nth);
    opened.expect("a network device that was opened")
}

fn nth(i: usize) -> Option<Rc<Opened>> {
    DEVICES.with_borrow(|devices| devices.get(i).cloned())
}

fn all() -> impl Iterator<Item = Rc<Opened>> {
    (0..).map_while(nth)
}

/// OCaml's part of a turn begins, or, after an exchange, goes on.
fn begin(turn: bool) {
    for opened in all() {
        if turn {
            opened.receiving.borrow_mut().take_in(&*opened.device, &opened.words);
        }
        opened.words.offer_head(&*opened.device);
    }
}

/// It has ended: what it has sent goes out, and memory that it has done with can receive again.
fn end() {
    all().for_each(|opened| opened.device.flush());
}

#[cfg(feature = "xen")]
fn open(name: &str, limits: net::netfront::Limits) -> Result<Rc<dyn Device>, String> {
    // A network of the domain's own: for programs that only speak with themselves.
    #[cfg(feature = "posix")]
    if let Some(device) = open_loopback(name, &limits) {
        return device;
    }
    let (number, trusting) = match name.strip_suffix(":trusted") {
        Some(number) => (number, true),
        None => (name, false),
    };
    let id = number.parse().map_err(|_| format!("{number:?} is not the number of a vif"))?;
    Ok(net::netfront::open(id, net::netfront::Limits { trusting, ..limits })?)
}

#[cfg(not(feature = "xen"))]
fn open(name: &str, limits: net::netfront::Limits) -> Result<Rc<dyn Device>, String> {
    if let Some(device) = open_loopback(name, &limits) {
        return device;
    }
    let (name, mac) = match name.split_once('@') {
        None => (name, None),
        Some((name, mac)) => {
            let mac =
                Mac::parse(mac).ok_or_else(|| format!("{mac:?} is not a station's address"))?;
            (name, Some(mac))
        }
    };
    Ok(net::tap::open(name, mac).map_err(|error| error.to_string())?)
}

/// The device that receives what it sends, if the name is one's.
#[cfg(any(not(feature = "xen"), feature = "posix"))]
fn open_loopback(
    name: &str,
    limits: &net::netfront::Limits,
) -> Option<Result<Rc<dyn Device>, String>> {
    let (kind, copy_max) = name.split_once(':')?;
    let groups = match kind {
        "loopback" => true,
        "alone" => false,
        _ => return None,
    };
    Some(match copy_max.parse() {
        Ok(copy_max) => Ok(net::loopback::open(copy_max, limits.receive_pages, groups)),
        Err(_) => Err(format!("{copy_max:?} is not a size")),
    })
}

/// Opens a network device. The name is a number on Xen (that of `device/vif/NUMBER`), perhaps with `:trusted` behind it
/// if the backend may see whatever else is in the pages that payload lies in. On Unix it is that of a TAP interface,
/// perhaps with `@` and an address, or `loopback:SIZE` for a device that receives what it sends, and lends frames of
/// more than SIZE bytes; `alone:SIZE` for one that receives only what it sends to one station (on Xen both with the
/// feature `posix`). `receive_pages` and `send_pages` limit the memory that the device takes on Xen; 0 leaves it to the
/// device.
///
/// Returns the device's number, or -1; the log then says why. The link may come up later.
///
/// # Safety
///
/// `name` must be valid for reads of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_net_open(
    name: *const u8,
    length: usize,
    receive_pages: isize,
    send_pages: isize,
) -> isize {
    crate::setup::init();
    // SAFETY: the caller's promise.
    let name = String::from_utf8_lossy(unsafe { crate::abi::bytes(name, length) });
    let mut limits = net::netfront::Limits::default();
    if let Some(pages) = usize::try_from(receive_pages).ok().filter(|pages| *pages > 0) {
        limits.receive_pages = pages;
    }
    if let Some(pages) = usize::try_from(send_pages).ok().filter(|pages| *pages > 0) {
        limits.send_pages = pages;
    }
    match open(&name, limits) {
        Ok(device) => DEVICES.with_borrow_mut(|devices| {
            turn::set_devices(begin, end);
            let (payload, words, receiving) = Default::default();
            devices.push(Rc::new(Opened { device, payload, words, receiving }));
            devices.len() as isize - 1
        }),
        Err(error) => {
            log::error!("network device {name}: {error}");
            -1
        }
    }
}

/// Copies the device's state, a MirustNetInfo, to the buffer, as much of it as fits. Returns the
/// struct's size in bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_net_info(handle: isize, buffer: *mut u8, length: usize) -> isize {
    let Info { link, mac: Mac(mac), mtu, features } = opened(handle).device.info();
    let flag = |set, bit| if set { bit } else { 0 };
    let info = MirustNetInfo {
        link: match link {
            net::Link::Down => 0,
            net::Link::Up => 1,
            net::Link::Closed => 2,
        },
        mac: mac.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)),
        mtu: mtu as u64,
        features: flag(features.checksum, MIRUST_NET_CHECKSUM)
            | flag(features.tso4, MIRUST_NET_TSO4)
            | flag(features.tso6, MIRUST_NET_TSO6),
    };
    // SAFETY: the caller's promise; the struct is all u64.
    unsafe { fill_struct(buffer, length, &info) }
}

/// Copies the device's counters, a MirustNetStats, to the buffer, as much of it as fits. Returns
/// the struct's size in bytes.
///
/// # Safety
///
/// `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_net_stats(handle: isize, buffer: *mut u8, length: usize) -> isize {
    let counters = opened(handle).device.counters();
    // SAFETY: the caller's promise; the struct is all u64, the fields those of MirustNetStats.
    unsafe { fill_struct(buffer, length, &counters) }
}

/// A bigarray of the memory that heads of frames are reserved from. It stays valid for ever.
/// Allocates on the OCaml heap.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_heads(handle: isize) -> Value {
    let (base, len) = opened(handle).device.heads();
    // SAFETY: valid for ever, as `heads` promises.
    unsafe { values::external_bigarray(base, len) }
}

/// Reserves memory for the head of a frame, `length` bytes, for which there was none in MIRUST_NET_WORD_ROOM. Returns
/// its offset in the bigarray of `mirust_net_heads`, or -1 if there is no room. The next call invalidates what was not
/// sent.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_reserve(handle: isize, length: usize) -> isize {
    let opened = opened(handle);
    // It may have been in place of that one.
    opened.words.set(MIRUST_NET_WORD_ROOM, 0);
    opened.device.reserve(length).map_or(-1, |head| head as isize)
}

/// Sends a frame: `head_length` bytes at `head`, which was reserved, and then `payload`, a
/// `Cstruct.t list`. It goes out at the end of OCaml's part of the turn at the latest.
///
/// `checksum_start` is 0, or the byte of the frame from which on a checksum is to be completed,
/// whose field is `checksum_offset` bytes further on. `gso_size` is 0, or the payload bytes of each
/// TCP segment that the frame is to be cut into.
///
/// Returns 0; or a positive number by which `mirust_net_completed` returns the payload, which until
/// then MUST stay unchanged and referenced; or MIRUST_NET_FULL and the like.
///
/// # Safety
///
/// `payload` must be a value of that type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_net_send(
    handle: isize,
    head: usize,
    head_length: usize,
    payload: Value,
    checksum_start: usize,
    checksum_offset: usize,
    gso_size: usize,
) -> isize {
    let opened = opened(handle);
    let mut fragments = opened.payload.borrow_mut();
    fragments.clear();
    // SAFETY: the caller's promise.
    unsafe { values::fragments(payload, &mut fragments) };
    let checksum = (checksum_start > 0)
        .then_some(TxChecksum { start: checksum_start, offset: checksum_offset });
    let Ok(gso_size) = u16::try_from(gso_size) else { return MIRUST_NET_INVALID_LENGTH };
    let frame = TxFrame { head, head_len: head_length, payload: &fragments, checksum, gso_size };
    // SAFETY: bigarrays do not move, and the caller keeps these until their number comes back.
    let sent = unsafe { opened.device.send(&frame) };
    opened.words.offer_head(&*opened.device);
    match sent {
        Ok(None) => 0,
        Ok(Some(number)) => number as isize + 1,
        Err(SendError::Full) => MIRUST_NET_FULL,
        Err(SendError::Length) => MIRUST_NET_INVALID_LENGTH,
        Err(SendError::Closed) => MIRUST_NET_DISCONNECTED,
    }
}

/// Returns a number from `mirust_net_send` whose payload is no longer needed, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_completed(handle: isize) -> isize {
    opened(handle).device.completed().map_or(0, |number| number as isize + 1)
}

/// Lets frames to the group `mac` (as in MirustNetInfo) through, or with `join` 0 no longer, where
/// the device filters them. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_multicast(handle: isize, mac: isize, join: isize) -> isize {
    let octets = (mac as u64).to_be_bytes();
    let group = Mac([octets[2], octets[3], octets[4], octets[5], octets[6], octets[7]]);
    opened(handle).device.multicast(group, join != 0);
    0
}

/// Closes the device, after what was sent has gone out. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn mirust_net_close(handle: isize) -> isize {
    let opened = opened(handle);
    opened.device.flush();
    opened.device.close();
    0
}

/// The one's complement sum (RFC 1071) of the 16-bit words of a bigarray of bytes, `length` bytes
/// from `offset` on, folded to 16 bits and not complemented, with the words in network order. An
/// odd last byte counts as a word with a zero byte behind it.
///
/// # Safety
///
/// `buffer` must be such a bigarray, and the bytes lie within it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mirust_checksum(buffer: Value, offset: usize, length: usize) -> isize {
    // SAFETY: the caller's promise.
    let (base, size) = unsafe { values::bytes_of(buffer) };
    assert!(offset <= size && length <= size - offset, "bytes outside of the buffer");
    // SAFETY: within the bigarray, and nobody writes it during this call.
    let bytes = unsafe { slice::from_raw_parts(base.as_ptr().add(offset), length) };
    checksum::native_sum(bytes).swap_bytes() as isize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The struct in the header has the fields of the runtime's, in the same order.
    #[test]
    fn stats_are_the_counters() {
        let text = include_str!("devices.rs");
        let (_, rest) = text.split_once("pub struct MirustNetStats {").unwrap();
        let (body, _) = rest.split_once("\n}").unwrap();
        let fields: Vec<&str> = body
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub "))
            .filter_map(|line| line.strip_suffix(": u64,"))
            .collect();
        assert_eq!(fields, net::Counters::NAMES);
    }
}
