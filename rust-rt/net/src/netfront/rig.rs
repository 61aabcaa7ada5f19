//! A device and a backend in memory, for tests and for fuzzing.

use super::{backend::Backend, *};
use crate::{Fragment, Place, TxChecksum};
use alloc::{boxed::Box, vec, vec::Vec};
use core::mem::MaybeUninit;
use mirust_mem::PAGE_SIZE;
use mirust_xen::fake::{FakeXen, World, world};
use mirust_xen::wire::GrantRef;

pub const ALL: Offload = Offload {
    checksum4: true,
    checksum6: true,
    tso4: true,
    tso6: true,
    sg: true,
    untrusted: false,
    filter: true,
};
pub const PEER: DomId = DomId(3);

pub struct Rig {
    pub device: Netfront,
    pub backend: Backend,
    pub xen: &'static FakeXen,
    pub grants: &'static GrantTable,
    pub events: &'static mirust_xen::events::Events,
    pub slab: Vec<MaybeUninit<u8>>,
}

impl Rig {
    pub fn new(offload: Offload, limits: Limits) -> Rig {
        let World { xen, events, .. } = world();
        xen.set_max_frames(8);
        let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
        let device = Netfront::new("vif0".into(), limits, grants, || {}).unwrap();
        let slab = vec![MaybeUninit::new(0); 1 << 17];
        let mut rig = Rig {
            backend: connect(&device, xen, events, offload),
            device,
            xen,
            grants,
            events,
            slab,
        };
        rig.backend.arm();
        xen.take_sent();
        rig
    }

    pub fn honest() -> Rig {
        Rig::new(ALL, Limits::default())
    }

    pub fn connect(&mut self, offload: Offload) {
        self.backend = connect(&self.device, self.xen, self.events, offload);
    }

    /// Sends a frame; its head is `head`, its payload `parts`.
    pub fn send(
        &self,
        head: &[u8],
        parts: &[&'static [u8]],
        gso_size: u16,
    ) -> Result<Option<u16>, SendError> {
        self.send_with(
            head,
            parts,
            gso_size,
            (gso_size > 0).then_some(TxChecksum { start: 34, offset: 16 }),
        )
    }

    pub fn send_with(
        &self,
        head: &[u8],
        parts: &[&'static [u8]],
        gso_size: u16,
        checksum: Option<TxChecksum>,
    ) -> Result<Option<u16>, SendError> {
        let Some(at) = self.device.reserve(head.len()) else { return Err(SendError::Full) };
        let (base, _) = self.device.heads();
        // SAFETY: reserved, and not read by anybody yet.
        unsafe { base.add(at).copy_from_nonoverlapping(NonNull::from(head).cast(), head.len()) };
        let payload: Vec<Fragment> = parts
            .iter()
            .map(|part| Fragment { addr: NonNull::from(*part).cast(), len: part.len() })
            .collect();
        let frame =
            TxFrame { head: at, head_len: head.len(), payload: &payload, checksum, gso_size };
        // SAFETY: the payload is static.
        unsafe { self.device.send(&frame) }
    }

    pub fn receive(&mut self) -> (Received, Vec<RxFrame>) {
        let mut frames = Vec::new();
        let mut slab = Slab::new(&mut self.slab);
        let received = self.device.receive(64, &mut slab, &mut |frame| frames.push(frame));
        (received, frames)
    }

    pub fn bytes(&self, frame: &RxFrame) -> Vec<u8> {
        match &frame.place {
            Place::Slab(at) => {
                let part = &self.slab[*at..at + frame.len];
                // SAFETY: written by `receive`.
                part.iter().map(|byte| unsafe { byte.assume_init() }).collect()
            }
            Place::Lent(lease) => {
                // SAFETY: lent, so that nobody writes it.
                unsafe { core::slice::from_raw_parts(lease.addr().as_ptr(), frame.len) }.to_vec()
            }
        }
    }

    pub fn counters(&self) -> Counters {
        self.device.counters()
    }
}

pub fn connect(
    device: &Netfront,
    xen: &'static FakeXen,
    events: &'static mirust_xen::events::Events,
    offload: Offload,
) -> Backend {
    let channel = || events.alloc_unbound(PEER).unwrap();
    let channels = Rc::new(Channels::Split { tx: channel(), rx: channel() });
    device.prepare(PEER, offload, channels).unwrap();
    let (tx, rx) = device.ring_refs().unwrap();
    device.up(Mac([0, 0x16, 0x3e, 1, 2, 3]), 1500, offload.features());
    device.news();
    Backend::new(xen, GrantRef(tx), GrantRef(rx))
}

/// Bytes that tell where they come from, in memory that a grant can point to.
pub fn pattern(len: usize, seed: u8) -> &'static [u8] {
    let layout = alloc::alloc::Layout::from_size_align(len, PAGE_SIZE).unwrap();
    // SAFETY: the layout is not empty, and the memory is leaked and written before it is borrowed.
    unsafe {
        let base = alloc::alloc::alloc(layout);
        for i in 0..len {
            base.add(i).write((i * 7 + i / 256) as u8 ^ seed);
        }
        core::slice::from_raw_parts(base, len)
    }
}

pub fn head(len: usize) -> Vec<u8> {
    let mut head: Vec<u8> = (0..len).map(|i| i as u8 ^ 0x55).collect();
    head[12..14].copy_from_slice(&[8, 0]);
    head
}
