//! Xen's constants and structures, generated from its headers (`bindings.rs`), and the proof that the
//! layouts written by hand agree with them.
#![allow(missing_docs, non_camel_case_types, non_upper_case_globals, non_snake_case, dead_code)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

include!("bindings.rs");

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

use crate::wire::{blkif, bytering, netif, xenstore};

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

const _: () = {
    use blkif::{Operation, at};
    use core::mem::offset_of;
    assert!(blkif::SLOT == size_of::<blkif_request>());
    assert!(blkif::SLOT >= size_of::<blkif_request_discard>());
    assert!(blkif::SLOT >= size_of::<blkif_request_indirect>());
    assert!(blkif::SLOT >= size_of::<blkif_response>() && size_of::<blkif_response>() == 16);
    assert!(blkif::SEGMENT == size_of::<blkif_request_segment>());
    assert!(blkif::SEGMENTS_MAX == BLKIF_MAX_SEGMENTS_PER_REQUEST as usize);
    assert!(blkif::INDIRECT_PAGES_MAX == BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST as usize);
    assert!(offset_of!(blkif_request_segment, gref) == 0);
    assert!(offset_of!(blkif_request_segment, first_sect) == 4);
    assert!(offset_of!(blkif_request_segment, last_sect) == 5);
    assert!(offset_of!(blkif_request, operation) == 0);
    assert!(offset_of!(blkif_request, nr_segments) == at::NR_SEGMENTS);
    assert!(offset_of!(blkif_request, handle) == at::HANDLE);
    assert!(offset_of!(blkif_request, id) == at::ID);
    assert!(offset_of!(blkif_request, sector_number) == at::SECTOR);
    assert!(offset_of!(blkif_request, seg) == at::SEGMENTS);
    assert!(offset_of!(blkif_request_discard, flag) == 1);
    assert!(offset_of!(blkif_request_discard, handle) == at::HANDLE);
    assert!(offset_of!(blkif_request_discard, id) == at::ID);
    assert!(offset_of!(blkif_request_discard, sector_number) == at::SECTOR);
    assert!(offset_of!(blkif_request_discard, nr_sectors) == at::DISCARD_SECTORS);
    assert!(offset_of!(blkif_request_indirect, indirect_op) == 1);
    assert!(offset_of!(blkif_request_indirect, nr_segments) == at::INDIRECT_SEGMENTS);
    assert!(offset_of!(blkif_request_indirect, id) == at::ID);
    assert!(offset_of!(blkif_request_indirect, sector_number) == at::SECTOR);
    assert!(offset_of!(blkif_request_indirect, handle) == at::INDIRECT_HANDLE);
    assert!(offset_of!(blkif_request_indirect, indirect_grefs) == at::INDIRECT_GREFS);
    assert!(offset_of!(blkif_response, id) == 0);
    assert!(offset_of!(blkif_response, operation) == at::RESPONSE_OPERATION);
    assert!(offset_of!(blkif_response, status) == at::RESPONSE_STATUS);
    assert!(Operation::Read as u32 == BLKIF_OP_READ && Operation::Write as u32 == BLKIF_OP_WRITE);
    assert!(Operation::WriteBarrier as u32 == BLKIF_OP_WRITE_BARRIER);
    assert!(Operation::FlushDiskcache as u32 == BLKIF_OP_FLUSH_DISKCACHE);
    assert!(Operation::Discard as u32 == BLKIF_OP_DISCARD);
    assert!(Operation::Indirect as u32 == BLKIF_OP_INDIRECT);
    assert!(blkif::DISCARD_SECURE as u32 == BLKIF_DISCARD_SECURE);
    assert!(blkif::status::NOT_SUPPORTED as i32 == BLKIF_RSP_EOPNOTSUPP);
    assert!(blkif::status::ERROR as i32 == BLKIF_RSP_ERROR);
    assert!(blkif::status::OKAY as u32 == BLKIF_RSP_OKAY);
    assert!(blkif::info::CDROM == VDISK_CDROM && blkif::info::REMOVABLE == VDISK_REMOVABLE);
    assert!(blkif::info::READONLY == VDISK_READONLY);
};
