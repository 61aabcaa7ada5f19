//! The virtio-net header in front of each frame (Virtual I/O Device specification 1.2, section 5.1.6).

use mirust_net::{RxChecksum, TxFrame};

/// Bytes of the header.
pub(super) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// The segment's TCP uses explicit congestion notification.
const GSO_ECN: u8 = 0x80;

/// The virtio-net header of a frame to send.
pub(super) fn emit(frame: &TxFrame<'_>, head: &[u8]) -> [u8; LEN] {
    let mut header = [0; LEN];
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
pub(super) fn parse(header: &[u8; LEN]) -> (RxChecksum, u16) {
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
        assert_eq!(parse(&[0; LEN]), (RxChecksum::Unknown, 0));
        assert_eq!(parse(&[1, 1, 0, 0, 0xa8, 5, 34, 0, 16, 0]), (RxChecksum::Blank, 1448));
        assert_eq!(parse(&[2, 0x84, 0, 0, 0x94, 5, 0, 0, 0, 0]), (RxChecksum::Valid, 1428));
        assert_eq!(parse(&[0, 3, 0, 0, 1, 0, 0, 0, 0, 0]), (RxChecksum::Unknown, 0), "UDP");
    }
}
