//! Xen's constants and structures, read from its headers by `build.rs`, and the proof that the
//! layouts written by hand agree with them.
#![allow(missing_docs, non_camel_case_types, non_upper_case_globals, non_snake_case, dead_code)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/xen_abi.rs"));

/// The hand-written offsets of a byte ring against the structure in the header.
macro_rules! assert_queue {
    ($queue:path, $interface:ty, $data:ident, $cons:ident, $prod:ident) => {
        const _: () = {
            let queue = $queue;
            assert!(queue.data == ::core::mem::offset_of!($interface, $data));
            assert!(queue.cons == ::core::mem::offset_of!($interface, $cons));
            assert!(queue.prod == ::core::mem::offset_of!($interface, $prod));
            // The data area ends where the next begins, or where the indices do.
            let end = queue.data + queue.capacity as usize;
            assert!(end == 1024 || end == 2048 || end == 3072);
        };
    };
}

use crate::wire::{bytering, netif, xenstore};

assert_queue!(bytering::CONSOLE_IN, xencons_interface, in_, in_cons, in_prod);
assert_queue!(bytering::CONSOLE_OUT, xencons_interface, out, out_cons, out_prod);
assert_queue!(bytering::XENSTORE_REQ, xenstore_domain_interface, req, req_cons, req_prod);
assert_queue!(bytering::XENSTORE_RSP, xenstore_domain_interface, rsp, rsp_cons, rsp_prod);

const _: () = {
    use core::mem::offset_of;
    assert!(bytering::XENSTORE_FEATURES == offset_of!(xenstore_domain_interface, server_features));
    assert!(bytering::XENSTORE_CONNECTION == offset_of!(xenstore_domain_interface, connection));
    assert!(bytering::FEATURE_RECONNECTION == XENSTORE_SERVER_FEATURE_RECONNECTION);
    assert!(bytering::CONNECTED == XENSTORE_CONNECTED);
    assert!(bytering::RECONNECT == XENSTORE_RECONNECT);
    assert!(bytering::XENSTORE_REQ.capacity == XENSTORE_RING_SIZE);

    assert!(xenstore::HEADER_LEN == size_of::<xsd_sockmsg>());
    assert!(xenstore::PAYLOAD_MAX == XENSTORE_PAYLOAD_MAX as usize);
    assert!(xenstore::ABS_PATH_MAX == XENSTORE_ABS_PATH_MAX as usize);
    assert!(xenstore::REL_PATH_MAX == XENSTORE_REL_PATH_MAX as usize);
    assert!(xenstore::Kind::Read as u32 == XS_READ);
    assert!(xenstore::Kind::Error as u32 == XS_ERROR);
    assert!(xenstore::Kind::WatchEvent as u32 == XS_WATCH_EVENT);
    assert!(xenstore::Kind::SetPerms as u32 == XS_SET_PERMS);
    assert!(xenstore::Kind::ResetWatches as u32 == XS_RESET_WATCHES);
    assert!(xenstore::Kind::DirectoryPart as u32 == XS_DIRECTORY_PART);
};

const _: () = {
    use core::mem::offset_of;
    // The slots as `RING_SIZE` sees them: the larger of request and response.
    assert!(netif::TX_SLOT == size_of::<netif_tx_request>());
    assert!(netif::TX_SLOT >= size_of::<netif_tx_response>());
    assert!(netif::RX_SLOT == size_of::<netif_rx_request>());
    assert!(netif::RX_SLOT == size_of::<netif_rx_response>());
    assert!(netif::RX_SLOT == size_of::<netif_extra_info>());
    assert!(offset_of!(netif_tx_request, gref) == 0 && offset_of!(netif_tx_request, offset) == 4);
    assert!(offset_of!(netif_tx_request, flags) == 6 && offset_of!(netif_tx_request, id) == 8);
    assert!(offset_of!(netif_tx_request, size) == 10);
    assert!(offset_of!(netif_tx_response, id) == 0 && offset_of!(netif_tx_response, status) == 2);
    assert!(offset_of!(netif_rx_request, id) == 0 && offset_of!(netif_rx_request, gref) == 4);
    assert!(offset_of!(netif_rx_response, id) == 0 && offset_of!(netif_rx_response, offset) == 2);
    assert!(offset_of!(netif_rx_response, flags) == 4);
    assert!(offset_of!(netif_rx_response, status) == 6);
    assert!(netif::status::DROPPED as i32 == NETIF_RSP_DROPPED);
    assert!(netif::status::ERROR as i32 == NETIF_RSP_ERROR);
    assert!(netif::status::OKAY as u32 == NETIF_RSP_OKAY);
};
