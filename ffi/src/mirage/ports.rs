//! Event channels under the numbers that Mirage knows them by.
//!
//! These are Xen's own numbers, because they are passed to the other end through xenstore. But a domain has few of
//! them, and Xen assigns the lowest free one. So it is enough to report [`PORTS`] of them, which saves work in the
//! loop, as it checks all of them in each turn. The last numbers stand for rings that are not Xen's.

use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::Ordering;

use mirust_rt::wire::{DomId, Port};
use mirust_rt::xen;
use mirust_rt::xen::events::{BindError, EventChannel, Events, Virq};

use super::bells::{Bell, CONSOLE, PORTS, XENSTORE};
use super::{Failed, NO_XEN, UNIT, Value, enter, int, lifecycle, number, of_int, rings};
use crate::ocaml::taken;

/// A channel that Mirage has bound.
struct Bound {
    channel: EventChannel,
    /// Events that Mirage has been told of.
    seen: u64,
}

impl Bound {
    fn is_pending(&self) -> bool {
        self.channel.count() != self.seen
    }
}

#[derive(Default)]
struct Ports {
    /// By number; as long as the greatest one that was ever bound.
    bound: Vec<Option<Bound>>,
}

thread_local! {
    static ALL: RefCell<Ports> = RefCell::default();
}

/// Channels that are bound.
fn count() -> usize {
    ALL.with_borrow(|all| all.bound.iter().flatten().count())
}

/// Whether there is an event that Mirage has not been told of.
pub(super) fn any_pending() -> bool {
    let rung = |bell: &Bell| bell.rung.load(Ordering::Relaxed);
    rung(&XENSTORE)
        || rung(&CONSOLE)
        || ALL.with_borrow(|all| all.bound.iter().flatten().any(Bound::is_pending))
}

fn test_and_clear(port: usize) -> bool {
    for bell in [&XENSTORE, &CONSOLE] {
        if bell.port == port {
            return bell.rung.swap(false, Ordering::Relaxed);
        }
    }
    ALL.with_borrow_mut(|all| {
        let Some(Some(bound)) = all.bound.get_mut(port) else { return false };
        let count = bound.channel.count();
        std::mem::replace(&mut bound.seen, count) != count
    })
}

/// Takes in a channel that was just bound.
fn bind(
    bind: impl FnOnce(&'static Events) -> Result<EventChannel, BindError>,
) -> Result<Value, Failed> {
    let channel = bind(xen::events().ok_or(NO_XEN)?).map_err(Failed::because)?;
    let port = channel.port().0 as usize;
    if port >= CONSOLE.port {
        return Err(Failed::because(format_args!("event channel {port} is beyond {PORTS}")));
    }
    ALL.with_borrow_mut(|all| {
        if all.bound.len() <= port {
            all.bound.resize_with(port + 1, || None);
        }
        all.bound[port] = Some(Bound { channel, seen: 0 });
    });
    static ONCE: Once = Once::new();
    lifecycle::watch(&ONCE, "event channels", count);
    Ok(of_int(port as isize))
}

/// `external evtchn_get_nr_events : unit -> int [@@noalloc]`: numbers of event channels are below this.
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_evtchn_get_nr_events(_: Value) -> Value {
    of_int(PORTS as isize)
}

/// `external evtchn_test_and_clear : int -> bool [@@noalloc]`: whether there were events since the last
/// call.
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_evtchn_test_and_clear(v_port: Value) -> Value {
    of_int(test_and_clear(int(v_port) as usize).into())
}

/// `external bind_unbound_port : handle -> int -> int`: a channel that the domain may bind to.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_evtchn_alloc_unbound(_: Value, v_domid: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let domid = DomId(number(v_domid, "alloc_unbound: not a domain")?);
            bind(|events| events.alloc_unbound(domid))
        })
    }
}

/// `external bind_interdomain : handle -> int -> int -> int`: the other end of a domain's channel. It has
/// one event to begin with.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_evtchn_bind_interdomain(
    _: Value,
    v_domid: Value,
    v_port: Value,
) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let domid = DomId(number(v_domid, "bind_interdomain: not a domain")?);
            let port = Port(number(v_port, "bind_interdomain: not a port")?);
            bind(|events| events.bind_interdomain(domid, port))
        })
    }
}

/// `external bind_virq : handle -> int -> int`: a virtual interrupt of the vCPU.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_evtchn_bind_virq(_: Value, v_virq: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let virq = number(v_virq, "bind_virq: not a virtual interrupt")?;
            bind(|events| events.bind_virq_number(virq))
        })
    }
}

/// `external virq_dom_exc : unit -> int`: the number of the interrupt that says that a domain has died.
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_evtchn_virq_dom_exc(_: Value) -> Value {
    of_int(Virq::DomExc as isize)
}

/// `external unmask : handle -> int -> unit`. A channel that is bound is never masked here.
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_evtchn_unmask(_: Value, _: Value) -> Value {
    UNIT
}

/// `external notify : handle -> int -> unit [@@noalloc]`: tells the other end. There being none is no
/// error: nobody could miss it.
#[unsafe(no_mangle)]
extern "C" fn mirage_xen_evtchn_notify(_: Value, v_port: Value) -> Value {
    let port = int(v_port) as usize;
    taken(|| {
        if port == XENSTORE.port {
            rings::xenstore_notified();
        } else if port == CONSOLE.port {
            rings::console_notified();
        } else {
            ALL.with_borrow(|all| {
                if let Some(Some(bound)) = all.bound.get(port) {
                    bound.channel.notify();
                }
            });
        }
    });
    UNIT
}

/// `external unbind : handle -> int -> unit`: closes a channel. One that is not bound fails.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_evtchn_unbind(_: Value, v_port: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let port = int(v_port) as usize;
            let bound = ALL.with_borrow_mut(|all| all.bound.get_mut(port).and_then(Option::take));
            match bound {
                Some(bound) => {
                    drop(bound);
                    Ok(UNIT)
                }
                None => Err(Failed::because(format_args!("event channel {port} is not bound"))),
            }
        })
    }
}
