//! A request that the backend has: whose it is, and the memory that was granted for it.

use crate::{Op, engine::Part};
use alloc::vec::Vec;
use core::{ptr::NonNull, slice};
use mirust_xen::{
    gnttab::Granted,
    wire::{
        GrantRef,
        blkif::{SEGMENT, SEGMENTS_MAX, SEGMENTS_PER_PAGE, Segment},
    },
};

/// Bytes that go through a page of ours.
pub(super) struct Copied {
    /// Which of the request's pages, and where in it.
    pub page: usize,
    pub offset: usize,
    /// The caller's memory.
    pub addr: NonNull<u8>,
    pub len: usize,
}

/// A request that the backend has.
pub(super) struct InFlight {
    pub id: u64,
    pub op: Op,
    /// The operation in the slot, and the one for the segments: Linux's blkback answers an indirect request with the
    /// latter.
    pub operations: [u8; 2],
    pub parts: Vec<Part>,
    /// Grants of callers' memory, and whose.
    pub direct: Vec<(GrantRef, u64)>,
    /// Pages of ours: data, and segments.
    pub pages: Vec<Granted>,
    pub copied: Vec<Copied>,
    /// Of a flush: the writes that it covers.
    pub covers: u64,
}

impl InFlight {
    /// A request that has no memory yet.
    pub fn new(op: Op, parts: Vec<Part>) -> InFlight {
        InFlight {
            id: 0,
            op,
            operations: [0; 2],
            parts,
            direct: Vec::new(),
            pages: Vec::new(),
            copied: Vec::new(),
            covers: 0,
        }
    }

    /// Copies the data that the backend will write into the device's own pages.
    pub fn copy_in(&self) {
        for copied in &self.copied {
            // SAFETY: the memory of a request is valid, and nobody writes it, until it ends.
            let bytes = unsafe { slice::from_raw_parts(copied.addr.as_ptr(), copied.len) };
            self.pages[copied.page].write(copied.offset, bytes);
        }
    }

    /// Copies what the backend has read out of those pages.
    pub fn copy_out(&self) {
        for copied in &self.copied {
            // SAFETY: the memory of a request is valid, and only this device uses it, until it ends.
            let out = unsafe { slice::from_raw_parts_mut(copied.addr.as_ptr(), copied.len) };
            self.pages[copied.page].read(copied.offset, out);
        }
    }

    /// Bytes that go through pages of ours.
    pub fn copied_bytes(&self) -> u64 {
        self.copied.iter().map(|copied| copied.len as u64).sum()
    }

    /// Writes the segments into the request's first pages, if they are too many for a slot. Returns the grants
    /// of these pages.
    pub fn write_tables(&self, segments: &[Segment]) -> Vec<GrantRef> {
        if segments.len() <= SEGMENTS_MAX {
            return Vec::new();
        }
        let table = |(page, segments): (&Granted, &[Segment])| {
            for (n, segment) in segments.iter().enumerate() {
                page.write(n * SEGMENT, &segment.emit());
            }
            page.gref()
        };
        self.pages.iter().zip(segments.chunks(SEGMENTS_PER_PAGE)).map(table).collect()
    }
}
