//! A device and a backend in memory, for tests and for fuzzing.

use super::{
    backend::{Asked, Backend},
    common::FlushBy,
    *,
};
use crate::{Discard, Disk, Error};
use alloc::{boxed::Box, vec};
use core::{future::Future, pin::Pin, task::Poll};
use mirust_xen::{
    events::Events,
    fake::{FakeXen, World, world},
    testing::{Random, poll_once},
    wire::{GrantRef, blkif::*},
};

pub const PEER: DomId = DomId(3);
pub const DISK: usize = 1 << 20;

/// What most tests agree on with the backend.
pub const FEATURES: Features = Features {
    flush: FlushBy::Operation(Operation::FlushDiskcache, false),
    segments: 64,
    persistent: false,
    untrusted: false,
    handle: 7,
    depth: 32,
};

pub const INFO: Info = Info {
    sectors: (DISK / SECTOR) as u64,
    flush: true,
    discard: Some(Discard { granularity: 512, alignment: 0, secure: true }),
    transfer_max: 64 * 4096,
    ..Info::NONE
};

pub struct Rig {
    pub device: Rc<Blkfront>,
    pub disk: Disk,
    pub backend: Backend,
    pub xen: &'static FakeXen,
    pub grants: &'static GrantTable,
    pub events: &'static Events,
}

pub type Running<T> = Pin<Box<dyn Future<Output = T>>>;

impl Rig {
    pub fn new(info: Info, features: Features) -> Rig {
        let World { xen, events, .. } = world();
        xen.set_max_frames(8);
        let grants: &'static GrantTable = Box::leak(Box::new(GrantTable::new(xen).unwrap()));
        let options = Options { pages: 64, persistent: features.persistent, ..Options::default() };
        let device = Rc::new(Blkfront::new("xvda".into(), options, grants));
        let disk = Disk::new(device.clone());
        let backend = connect(&device, xen, events, info, features, 1, DISK);
        Rig { device, disk, backend, xen, grants, events }
    }

    pub fn honest() -> Rig {
        Rig::new(INFO, FEATURES)
    }

    /// Connects to another backend of the same disk.
    pub fn reconnect(&mut self, info: Info, features: Features) {
        let disk = core::mem::take(&mut self.backend.disk);
        let (xen, events) = (self.xen, self.events);
        self.backend = connect(&self.device, xen, events, info, features, 1, DISK);
        self.backend.disk = disk;
        self.device.turn();
    }

    /// Runs a future, with an honest backend.
    pub fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = core::pin::pin!(future);
        for _ in 0..10_000 {
            let mut cx = core::task::Context::from_waker(Waker::noop());
            if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
                return result;
            }
            self.device.turn();
            self.backend.serve();
            self.device.turn();
        }
        panic!("the future never became ready");
    }

    /// Starts a future: what it asks for has been issued, as far as there is room.
    pub fn start<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> Running<T> {
        let mut future: Running<T> = Box::pin(future);
        assert!(poll_once(&mut future).is_pending());
        self.device.turn();
        future
    }

    pub fn write(&mut self, offset: u64, data: Vec<u8>) -> Running<Result<(), Error>> {
        let disk = self.disk.clone();
        self.start(async move { disk.write_at(offset, &data).await })
    }

    pub fn read(&mut self, offset: u64, len: usize) -> Running<Result<Vec<u8>, Error>> {
        let disk = self.disk.clone();
        self.start(async move {
            let mut out = vec![0; len];
            disk.read_at(offset, &mut out).await.map(|()| out)
        })
    }

    pub fn flush(&mut self) -> Running<Result<(), Error>> {
        let disk = self.disk.clone();
        self.start(async move { disk.flush().await })
    }

    /// Requests that the backend finds.
    pub fn asked(&mut self) -> Vec<Asked> {
        core::iter::from_fn(|| self.backend.take()).collect()
    }

    /// Everything has ended and every grant has come back, but for the ring and the pool's pages.
    pub fn assert_quiet(&self) {
        self.device.stop();
        self.device.end(true);
        assert_eq!(self.grants.stats().used, 0);
        assert_eq!(self.grants.stats().leaked, 0);
    }
}

pub fn connect(
    device: &Blkfront,
    xen: &'static FakeXen,
    events: &'static Events,
    info: Info,
    features: Features,
    ring_pages: usize,
    disk: usize,
) -> Backend {
    let channel = Rc::new(events.alloc_unbound(PEER).unwrap());
    device.prepare(PEER, channel, ring_pages, features).unwrap();
    let refs: Vec<GrantRef> = device.ring_refs().into_iter().map(GrantRef).collect();
    let mut backend = Backend::new(xen, &refs, disk);
    backend.sector_size = info.sector_size as usize;
    backend.arm();
    device.up(info, features);
    backend
}

/// Bytes that tell where they belong.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = vec![0; len];
    bytes.chunks_mut(8).for_each(|chunk| {
        let word = random.bits().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    });
    bytes
}
