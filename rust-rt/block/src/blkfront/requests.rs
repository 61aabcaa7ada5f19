//! A connection: requests on their way to the backend, and its answers.

use super::memory::{Blkif, Pages, RingPages};
use crate::{
    Error, Op, SECTOR,
    engine::{Engine, Part, locate},
};
use alloc::{rc::Rc, vec::Vec};
use core::{fmt, ptr::NonNull, slice};
use mirust_mem::PAGE_SIZE;
use mirust_xen::{
    events::EventChannel,
    gnttab::{GrantError, GrantTable, Granted},
    hypervisor::GrantAccess,
    ring::{front::FrontRing, shadow::Shadow},
    wire::{
        DomId, GrantRef,
        blkif::{
            Body, INDIRECT_PAGES_MAX, Operation, Request, Response, SEGMENT, SEGMENTS_MAX,
            SEGMENTS_PER_PAGE, SLOT, Segment, status,
        },
    },
};

/// How a flush is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FlushBy {
    /// Not at all: what is written is stable.
    Nothing,
    /// By this operation; or by a barrier, if the backend turns out not to support it and has barriers.
    Operation(Operation, bool),
    /// The backend offered flushes, but refused one.
    Refused,
}

/// What was agreed with the backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Features {
    pub flush: FlushBy,
    /// Segments in a request.
    pub segments: usize,
    /// Pages keep their grants, so that all data has to be copied.
    pub persistent: bool,
    /// The toolstack says that the backend is not to be trusted: it sees none of the callers' memory.
    pub untrusted: bool,
    /// The number of the device, in each request.
    pub handle: u16,
    /// Requests that may be in flight.
    pub depth: usize,
}

/// A protocol violation after which the ring cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The producer index.
    Index,
    /// A response to a request that is not in flight.
    Id(u64),
    /// A response that calls its request something else.
    Operation(u8),
    /// Very many notifications in a row about nothing.
    Storm,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Index => f.write_str("impossible index in the ring"),
            Fault::Id(id) => write!(f, "response to request {id:#x}, which is not in flight"),
            Fault::Operation(operation) => write!(f, "response to another operation: {operation}"),
            Fault::Storm => f.write_str("notifications without end about nothing"),
        }
    }
}

/// Bytes that go through a page of ours.
struct Copied {
    /// Which of the request's pages, and where in it.
    page: usize,
    offset: usize,
    addr: NonNull<u8>,
    len: usize,
}

/// A request that the backend has.
struct InFlight {
    id: u64,
    op: Op,
    /// The operation in the slot, and the one for the segments: Linux's blkback answers an indirect request with the
    /// latter.
    operations: [u8; 2],
    parts: Vec<Part>,
    /// Grants of callers' memory, and whose.
    direct: Vec<(GrantRef, u64)>,
    /// Pages of ours: data, and segments.
    pages: Vec<Granted>,
    copied: Vec<Copied>,
    /// Of a flush: the writes that it covers.
    covers: u64,
}

impl InFlight {
    /// A request that has no memory yet.
    fn new(op: Op, parts: Vec<Part>) -> InFlight {
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

    /// Copies what the backend shall write into the pages that go through it.
    fn copy_in(&self) {
        for copied in &self.copied {
            // SAFETY: the memory of a request is valid, and nobody writes it, until it ends.
            let bytes = unsafe { slice::from_raw_parts(copied.addr.as_ptr(), copied.len) };
            self.pages[copied.page].write(copied.offset, bytes);
        }
    }

    /// Writes the segments into the request's first pages, if they are too many for a slot. Returns the grants
    /// of these pages.
    fn write_tables(&self, segments: &[Segment]) -> Vec<GrantRef> {
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

/// Why no request could be made from the queue.
enum NotNow {
    /// Pages, slots or grants come back when the backend answers.
    Later,
    /// There are no grants, or there is no memory.
    Grant(GrantError),
}

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
        self.push(engine, request, operation, 0, &[], &[], None);
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
                let body = Some(Body::Discard { sectors: first.sectors, secure });
                self.push(engine, request, Operation::Discard, sector, &[], &[], body);
                return Ok(());
            }
            Op::Flush => unreachable!("flushes have a queue of their own"),
        };
        let mut build = Build::new(op);
        let stopped = self.gather(engine, &mut build, sector, access);
        if build.segments.is_empty() {
            self.give_back(engine, &mut build.request);
            return Err(stopped.unwrap_or(NotNow::Later));
        }
        let Build { request, segments, .. } = build;
        if op != Op::Read {
            request.copy_in();
        }
        engine.counters.grants += request.direct.len() as u64;
        engine.counters.grants += core::mem::take(&mut self.pages.shared);
        let tables = request.write_tables(&segments);
        self.push(engine, request, operation, sector, &segments, &tables, None);
        Ok(())
    }

    /// Takes parts from the queue into a request, as long as each begins at the sector where the one before it
    /// ends. Returns why it had to stop, if it is not for want of such parts.
    fn gather(
        &mut self,
        engine: &mut Engine,
        build: &mut Build,
        mut next: u64,
        access: GrantAccess,
    ) -> Option<NotNow> {
        let op = build.request.op;
        while let Some(part) = engine.queue.front().copied() {
            let io = engine.io(part.io);
            let joins = io.op == op && io.sector + part.at == next && io.held == 0;
            let alone = part.single || build.request.parts.iter().any(|part| part.single);
            if !build.request.parts.is_empty() && (!joins || alone) {
                break;
            }
            let (taken, stopped) = self.add(engine, build, part, access);
            if taken > 0 {
                build.request.parts.push(Part { sectors: taken, ..part });
                next += taken;
                let front = engine.queue.front_mut().expect("looked at above");
                front.at += taken;
                front.sectors -= taken;
                if front.sectors == 0 {
                    engine.queue.pop_front();
                }
            }
            if taken < part.sectors {
                return stopped;
            }
        }
        None
    }

    /// Adds as much of a part as fits. Returns how many sectors, and why it was not all of them.
    fn add(
        &mut self,
        engine: &Engine,
        build: &mut Build,
        part: Part,
        access: GrantAccess,
    ) -> (u64, Option<NotNow>) {
        let io = engine.io(part.io);
        let wanted = (part.sectors * SECTOR) as usize;
        let mut taken = 0;
        while taken < wanted {
            let left = wanted - taken;
            let step = if io.op == Op::Zero {
                self.zeros(build, left)
            } else {
                let skip = (part.at * SECTOR) as usize + taken;
                let (addr, rest, alone) = locate(&io.memory, skip);
                let left = left.min(rest);
                let sector_size = engine.info.sector_size as usize;
                self.stretch(build, part.io, (addr, left, alone), sector_size, access)
            };
            match step {
                Ok(len) => taken += len,
                Err(why) => return (taken as u64 / SECTOR, Some(why)),
            }
        }
        (part.sectors, None)
    }

    /// Adds bytes from the beginning of a stretch of memory. Returns how many.
    fn stretch(
        &mut self,
        build: &mut Build,
        io: u64,
        (addr, len, alone): (NonNull<u8>, usize, bool),
        sector_size: usize,
        access: GrantAccess,
    ) -> Result<usize, NotNow> {
        let offset = addr.as_ptr() as usize % PAGE_SIZE;
        let to_page = PAGE_SIZE - offset;
        let copy_all = self.features.persistent || self.features.untrusted;
        let whole = offset == 0 && len >= PAGE_SIZE;
        if !copy_all && (whole || (alone && offset % sector_size == 0)) {
            self.room_for_segment(build)?;
            let len = len.min(to_page);
            let page = addr.as_ptr() as usize - offset;
            // SAFETY: the memory is valid until the request ends, which is not before this grant
            // has; and nobody else uses it.
            let gref = unsafe { self.grants.grant_addr(page, self.peer, access) };
            let gref = gref.map_err(NotNow::Grant)?;
            build.request.direct.push((gref, io));
            build.segment(gref, offset, len);
            build.room = 0;
            return Ok(len);
        }
        // Up to the next page, if that can be granted whole.
        let direct_next = !copy_all && to_page % sector_size == 0 && len >= to_page + PAGE_SIZE;
        let len = if direct_next { to_page } else { len };
        if build.room == 0 {
            self.room_for_segment(build)?;
            let page = self.pages.take(access).map_err(NotNow::Grant)?.ok_or(NotNow::Later)?;
            let gref = page.gref();
            build.request.pages.push(page);
            build.segments.push(Segment { gref, first: 0, last: 0 });
            build.room = PAGE_SIZE;
        }
        let len = len.min(build.room);
        let start = PAGE_SIZE - build.room;
        let page = build.request.pages.len() - 1;
        build.request.copied.push(Copied { page, offset: start, addr, len });
        build.room -= len;
        let last = build.segments.last_mut().expect("the page's segment");
        last.last = ((start + len) / SECTOR as usize - 1) as u8;
        Ok(len)
    }

    /// Adds zeros. Returns how many bytes.
    fn zeros(&mut self, build: &mut Build, len: usize) -> Result<usize, NotNow> {
        self.room_for_segment(build)?;
        let len = len.min(PAGE_SIZE);
        // One page for each, although all are the same: Xen's count of a page's mappings is limited.
        let page = self.pages.take(GrantAccess::ReadOnly);
        let page = page.map_err(NotNow::Grant)?.ok_or(NotNow::Later)?;
        page.clear();
        let gref = page.gref();
        build.request.pages.push(page);
        build.segment(gref, 0, len);
        build.room = 0;
        Ok(len)
    }

    /// Makes sure that the request can have another segment.
    fn room_for_segment(&mut self, build: &mut Build) -> Result<(), NotNow> {
        let count = build.segments.len();
        if count >= self.features.segments {
            return Err(NotNow::Later);
        }
        // From here on the segments are in pages of their own, before the pages of data.
        if count >= SEGMENTS_MAX && build.tables * SEGMENTS_PER_PAGE <= count {
            if build.tables == INDIRECT_PAGES_MAX {
                return Err(NotNow::Later);
            }
            let page = self.pages.take(GrantAccess::ReadOnly);
            let page = page.map_err(NotNow::Grant)?.ok_or(NotNow::Later)?;
            build.request.pages.insert(build.tables, page);
            build.tables += 1;
            build.request.copied.iter_mut().for_each(|copied| copied.page += 1);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        engine: &mut Engine,
        mut request: InFlight,
        operation: Operation,
        sector: u64,
        segments: &[Segment],
        tables: &[GrantRef],
        body: Option<Body<'_>>,
    ) {
        self.issued += 1;
        let generation = self.issued;
        let body = body.unwrap_or(if tables.is_empty() {
            Body::Direct(segments)
        } else {
            Body::Indirect { count: segments.len() as u16, pages: tables }
        });
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
        for copied in &request.copied {
            engine.counters.copied += copied.len as u64;
            if okay && request.op == Op::Read {
                // SAFETY: the memory of a request is valid, and only this device uses it, until it
                // ends.
                let out = unsafe { slice::from_raw_parts_mut(copied.addr.as_ptr(), copied.len) };
                request.pages[copied.page].read(copied.offset, out);
            }
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

/// A request that is being put together.
struct Build {
    request: InFlight,
    segments: Vec<Segment>,
    /// Pages for the segments themselves, at the front of the request's pages.
    tables: usize,
    /// Bytes that are left in the last page that is copied to.
    room: usize,
}

impl Build {
    fn new(op: Op) -> Build {
        let request = InFlight::new(op, Vec::new());
        Build { request, segments: Vec::new(), tables: 0, room: 0 }
    }

    fn segment(&mut self, gref: GrantRef, offset: usize, len: usize) {
        let sector = SECTOR as usize;
        let last = (offset + len) / sector - 1;
        self.segments.push(Segment { gref, first: (offset / sector) as u8, last: last as u8 });
    }
}
