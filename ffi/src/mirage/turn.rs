//! The two calls of Mirage's loop, and its clocks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mirust_rt::poll::Ready;
use mirust_rt::time::Instant;

use super::{UNIT, Value, enter, of_int, ports};
use crate::domain;
use crate::ocaml::taken;

/// The OCaml library takes turns for us.
static ATTACHED: AtomicBool = AtomicBool::new(false);
/// When it wants the next one, in nanoseconds since boot.
static NEXT: AtomicU64 = AtomicU64::new(u64::MAX);

/// Nobody takes turns: tasks run here, where OCaml is not available to them.
fn turn_alone() {
    if domain::poll(Instant::ZERO).contains(Ready::SHUTDOWN) && !crate::shutdown::awaited() {
        std::process::exit(0)
    }
    while domain::next_completion().is_some() {}
}

/// Whether Mirage's loop has something to do.
fn demux() -> bool {
    taken(|| {
        if !ATTACHED.load(Ordering::Relaxed) {
            turn_alone();
        }
        let due = domain::now().as_nanos() >= NEXT.load(Ordering::Relaxed);
        domain::has_work() || due || ports::any_pending()
    })
}

/// Blocks until it has, or until the deadline.
fn block(deadline: i64) {
    taken(|| {
        let next = NEXT.load(Ordering::Relaxed);
        let deadline = (deadline.max(0) as u64).min(next);
        // What was done outside of a turn.
        crate::turn::end();
        domain::rest(crate::time::deadline(deadline), ports::any_pending);
    });
}

/// `external evtchn_demux_pending : unit -> bool [@@noalloc]`: whether there are events, or a turn is to
/// be taken.
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_evtchn_demux_pending(_: Value) -> Value {
    of_int(demux().into())
}

/// `external evtchn_block_domain : int64 -> unit [@@noalloc]`: blocks until there are events, a turn is to
/// be taken, or the time has come, in nanoseconds since boot.
///
/// # Safety
///
/// The value is an `int64`.
#[unsafe(no_mangle)]
unsafe extern "C" fn mirage_xen_evtchn_block_domain(v_deadline: Value) -> Value {
    // SAFETY: an int64 is a custom block with the number behind its operations. It is not moved: nothing
    // is allocated during the call.
    block(unsafe { *ocaml_sys::field(v_deadline, 1).cast::<i64>() });
    UNIT
}

/// `external attach : unit -> unit`, of `mirage-mirust.loop`: from now on OCaml takes turns by `mirust_poll`
/// whenever `demux_pending` was true.
#[unsafe(no_mangle)]
extern "C" fn mirust_mirage_attach(_: Value) -> Value {
    ATTACHED.store(true, Ordering::Relaxed);
    UNIT
}

/// `external next : (int64 [@unboxed]) -> (int [@untagged]) [@@noalloc]`, of the same: the turn has ended, and when the
/// next one is to be taken at the latest, in nanoseconds since boot.
#[unsafe(no_mangle)]
extern "C" fn mirust_mirage_next_turn(deadline: i64) -> isize {
    taken(crate::turn::end);
    NEXT.store(deadline.max(0) as u64, Ordering::Relaxed);
    0
}

/// `external time : unit -> int64`: nanoseconds since boot.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn caml_get_monotonic_time(_: Value) -> Value {
    // SAFETY: OCaml calls, so we may allocate; the frame has nothing to drop.
    unsafe { enter(|| Ok(ocaml_sys::caml_copy_int64(domain::now().as_nanos() as i64))) }
}

/// `external time : unit -> int64`: nanoseconds since 1970.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn caml_get_wall_clock(_: Value) -> Value {
    // SAFETY: OCaml calls, so we may allocate; the frame has nothing to drop.
    unsafe { enter(|| Ok(ocaml_sys::caml_copy_int64(crate::abi::mirust_time_wall_ns()))) }
}
