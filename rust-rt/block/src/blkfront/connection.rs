//! A connection: requests on their way to the backend, and its answers.

use super::{
    build::{Build, NotNow, Source},
    common::{Fault, Features, FlushBy},
    in_flight::InFlight,
    memory::{Blkif, Pages, RingPages},
};
use crate::{
    Error, Op,
    engine::{Engine, Part},
};
use alloc::{rc::Rc, vec::Vec};
use mirust_xen::{
    events::EventChannel,
    gnttab::{GrantError, GrantTable},
    hypervisor::GrantAccess,
    ring::{front::FrontRing, shadow::Shadow},
    wire::{
        DomId, GrantRef,
        blkif::{Body, Operation, Request, Response, SLOT, status},
    },
};

/// A ring that a backend serves, and what is on its way there.
pub(super) struct Connection {
    peer: DomId,
    ring: FrontRing<Blkif, RingPages>,
    in_flight: Shadow<InFlight>,
    /// Makes identifiers of requests unique, so that a repeated answer is detected even if its slot is in use
    /// again.
    issued: u64,
    pages: Pages,
    pub features: Features,
    pub channel: Rc<EventChannel>,
    grants: &'static GrantTable,
}

impl Connection {
    /// Sets a ring up for a backend. `features` is completed once the backend is connected, too.
    pub fn new(
        grants: &'static GrantTable,
        peer: DomId,
        channel: Rc<EventChannel>,
        ring_pages: usize,
        pages: Pages,
        features: Features,
    ) -> Result<Connection, GrantError> {
        let ring = FrontRing::new(RingPages::new(grants, peer, ring_pages)?);
        let in_flight = Shadow::new(ring.slots() as u16);
        Ok(Connection { peer, ring, in_flight, issued: 0, pages, features, channel, grants })
    }

    /// What the backend has to be told.
    pub fn ring_refs(&self) -> &[GrantRef] {
        self.ring.page().grefs()
    }

    /// Requests that the backend has.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Issues as many queued requests as possible, and notifies.
    pub fn pump(&mut self, engine: &mut Engine) {
        while self.has_room() {
            let flushes = engine.ready_flushes();
            if flushes.is_empty() {
                break;
            }
            self.flush(engine, flushes);
        }
        while self.has_room() {
            let Some(first) = engine.queue.front().copied() else { break };
            // An earlier backend still has its memory.
            if engine.io(first.io).held > 0 {
                break;
            }
            match self.issue(engine) {
                Ok(()) => {}
                Err(NotNow::Later) => break,
                Err(NotNow::Grant(error)) => {
                    if self.in_flight.is_empty() {
                        engine.complain(format_args!("{error}"));
                        let part = engine.queue.pop_front().expect("looked at above");
                        engine.answered(part, Err(Error::NoMemory));
                        continue;
                    }
                    break;
                }
            }
        }
        if self.ring.publish() {
            self.channel.notify();
            engine.counters.notifications += 1;
        }
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < self.features.depth && self.ring.free() > 0
    }

    fn flush(&mut self, engine: &mut Engine, parts: Vec<Part>) {
        let operation = match self.features.flush {
            FlushBy::Operation(operation, _) => operation,
            FlushBy::Nothing => {
                return parts.into_iter().for_each(|part| engine.answered(part, Ok(())));
            }
            FlushBy::Refused => {
                let refused = Err(Error::Unsupported);
                return parts.into_iter().for_each(|part| engine.answered(part, refused));
            }
        };
        let request = InFlight { covers: engine.written(), ..InFlight::new(Op::Flush, parts) };
        self.push(engine, request, operation, 0, Body::Direct(&[]));
    }

    /// Makes one request of the part at the front of the queue, and of those behind it that continue it on the
    /// disk.
    fn issue(&mut self, engine: &mut Engine) -> Result<(), NotNow> {
        let first = *engine.queue.front().expect("the caller has looked");
        let io = engine.io(first.io);
        let (op, sector) = (io.op, io.sector + first.at);
        let (operation, access) = match op {
            Op::Read => (Operation::Read, GrantAccess::ReadWrite),
            Op::Write | Op::Zero => (Operation::Write, GrantAccess::ReadOnly),
            Op::Discard { secure } => {
                engine.queue.pop_front();
                let request = InFlight::new(op, [first].into());
                let body = Body::Discard { sectors: first.sectors, secure };
                self.push(engine, request, Operation::Discard, sector, body);
                return Ok(());
            }
            Op::Flush => unreachable!("flushes have a queue of their own"),
        };
        let Connection { pages, grants, peer, features, .. } = self;
        let source = Source { pages, grants, peer: *peer, features: *features };
        let mut build = Build::new(source, op, access);
        let stopped = build.gather(engine, sector);
        let Build { mut request, segments, .. } = build;
        if segments.is_empty() {
            self.give_back(engine, &mut request);
            return Err(stopped.unwrap_or(NotNow::Later));
        }
        if op != Op::Read {
            request.copy_in();
        }
        engine.counters.grants += request.direct.len() as u64;
        engine.counters.grants += core::mem::take(&mut self.pages.shared);
        let tables = request.write_tables(&segments);
        let body = if tables.is_empty() {
            Body::Direct(&segments)
        } else {
            Body::Indirect { count: segments.len() as u16, pages: &tables }
        };
        self.push(engine, request, operation, sector, body);
        Ok(())
    }

    /// Puts a request into the ring. The caller has looked for room.
    fn push(
        &mut self,
        engine: &mut Engine,
        mut request: InFlight,
        operation: Operation,
        sector: u64,
        body: Body<'_>,
    ) {
        self.issued += 1;
        let generation = self.issued;
        let handle = self.features.handle;
        let mut message = Request { operation, handle, id: 0, sector, body };
        request.operations = [message.operation_in_slot(), operation as u8];
        let Ok(slot) = self.in_flight.insert(request) else {
            unreachable!("there are as many records as slots, and the caller has looked")
        };
        message.id = generation << 16 | u64::from(slot);
        self.in_flight.get_mut(slot).expect("just inserted").id = message.id;
        let mut bytes = [0; SLOT];
        message.emit(&mut bytes);
        self.ring.push(&bytes).expect("the caller has looked");
        engine.counters.requests += 1;
    }

    /// Takes answers. True if there were any.
    pub fn reap(&mut self, engine: &mut Engine) -> Result<bool, Fault> {
        if engine.is_stuck() {
            engine.retry(self.grants);
        }
        if self.pages.is_stuck() {
            self.pages.retry();
        }
        let mut any = false;
        while let Some(response) = self.ring.pop().map_err(|_| Fault::Index)? {
            any = true;
            let slot = (response.id & 0xffff) as u16;
            let Some(request) = self.in_flight.get(slot).filter(|r| r.id == response.id) else {
                return Err(Fault::Id(response.id));
            };
            if !request.operations.contains(&response.operation) {
                return Err(Fault::Operation(response.operation));
            }
            let request = self.in_flight.take(slot).expect("just looked at");
            self.finish(engine, request, response);
        }
        Ok(any)
    }

    fn finish(&mut self, engine: &mut Engine, mut request: InFlight, response: Response) {
        let okay = response.status == status::OKAY;
        engine.counters.copied += request.copied_bytes();
        if okay && request.op == Op::Read {
            request.copy_out();
        }
        self.give_back(engine, &mut request);
        let result = match (response.status, request.op) {
            (status::OKAY, Op::Flush) => {
                engine.flushed(request.covers);
                Ok(())
            }
            (status::OKAY, _) => Ok(()),
            (status::NOT_SUPPORTED, Op::Flush) => {
                let barrier = Operation::WriteBarrier;
                if let FlushBy::Operation(Operation::FlushDiskcache, true) = self.features.flush {
                    self.features.flush = FlushBy::Operation(barrier, true);
                    return engine.requeue(request.parts);
                }
                // Issued with the other operation, before that was given up.
                if self.features.flush == FlushBy::Operation(barrier, true)
                    && !request.operations.contains(&(barrier as u8))
                {
                    return engine.requeue(request.parts);
                }
                self.features.flush = FlushBy::Refused;
                Err(Error::Unsupported)
            }
            (status::NOT_SUPPORTED, Op::Discard { .. }) => {
                engine.info.discard = None;
                Err(Error::Unsupported)
            }
            _ => Err(Error::Io),
        };
        if result.is_err() && request.parts.len() > 1 && request.op != Op::Flush {
            // Only one of them is at fault: each is tried again by itself.
            request.parts.iter_mut().for_each(|part| part.single = true);
            return engine.requeue(request.parts);
        }
        for part in request.parts {
            engine.answered(part, result);
        }
    }

    /// Ends the backend's access to what a request has used.
    fn give_back(&mut self, engine: &mut Engine, request: &mut InFlight) {
        for (gref, io) in request.direct.drain(..) {
            engine.end_grant(self.grants, gref, io);
        }
        request.pages.drain(..).for_each(|page| self.pages.give_back(page));
    }

    /// Asks for a notification of the next answer. True if there is one already.
    pub fn arm(&mut self) -> Result<bool, Fault> {
        self.ring.arm().map_err(|_| Fault::Index)
    }

    /// The backend has released the ring, or has broken the protocol: unanswered parts return to the queue, and memory
    /// to its owners. Returns what it has not released, if there is anything.
    pub fn close(mut self, engine: &mut Engine) -> Option<Leftover> {
        let requests: Vec<InFlight> = self.in_flight.drain().collect();
        let mut parts = Vec::new();
        for mut request in requests {
            engine.counters.reissued += 1;
            self.give_back(engine, &mut request);
            parts.append(&mut request.parts);
        }
        engine.requeue(parts);
        let mut left = Leftover { ring: self.ring.into_page(), pages: self.pages };
        left.retry();
        left.is_stuck().then_some(left)
    }
}

/// Memory of a connection that has ended, which its backend still has mapped.
pub(super) struct Leftover {
    ring: RingPages,
    pages: Pages,
}

impl Leftover {
    /// Tries to get it back.
    pub fn retry(&mut self) {
        self.ring.end();
        self.pages.end();
    }

    pub fn is_stuck(&self) -> bool {
        self.ring.is_stuck() || self.pages.is_stuck()
    }
}
