//! Event channels against a fake Xen.

use super::*;
use crate::{
    fake::{World, tsc, world},
    platform::XenPlatform,
    testing::{Wakes, poll_once},
};
use alloc::boxed::Box;
use core::{pin::pin, sync::atomic::Ordering, task::Poll};
use mirust_executor::platform::Platform;
use mirust_executor::time::Instant;

#[test]
#[cfg_attr(miri, ignore = "a vtable has several addresses there, so equal wakers differ")]
fn event_is_counted_and_wakes_once() {
    let World { xen, events, .. } = world();
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    let (wakes, waker) = Wakes::new();
    let mut wait = pin!(channel.wait(0));
    for _ in 0..3 {
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(events.dispatch(), 0);
    xen.raise(channel.port());
    assert_eq!(wakes.count(), 0);
    assert_eq!(events.dispatch(), 1);
    assert_eq!(wakes.count(), 1, "polled three times, registered once");
    assert_eq!(wait.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(1));
    assert_eq!(events.dispatch(), 0);
}

#[test]
fn event_between_count_and_wait_is_not_lost() {
    let World { xen, events, .. } = world();
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    let seen = channel.count();
    xen.raise(channel.port());
    events.dispatch();
    assert_eq!(poll_once(&mut channel.wait(seen)), Poll::Ready(1));
}

#[test]
fn ports_in_every_word_are_found() {
    let World { xen, events, .. } = world();
    let mut channels = Vec::new();
    for port in [1, 63, 64, 65, 2047, 4095] {
        xen.set_next_port(port);
        channels.push(events.alloc_unbound(DomId::DOM0).unwrap());
    }
    channels.iter().for_each(|channel| xen.raise(channel.port()));
    assert_eq!(events.dispatch(), channels.len());
    assert!(channels.iter().all(|channel| channel.count() == 1));
}

#[test]
fn interdomain_channel_starts_with_an_event() {
    let World { events, .. } = world();
    let channel = events.bind_interdomain(DomId(5), Port(9)).unwrap();
    assert_eq!(events.dispatch(), 1, "pending while masked, reported when unmasked");
    assert_eq!(channel.count(), 1);
}

#[test]
fn stray_event_is_masked_and_counted() {
    let World { xen, info, events, .. } = world();
    info.unmask(Port(7));
    xen.raise(Port(7));
    events.dispatch();
    xen.raise(Port(7));
    assert_eq!(events.dispatch(), 0);
    assert_eq!(events.stray(), 1);
}

#[test]
fn dropped_channel_is_closed_and_no_longer_polled() {
    let World { xen, events, .. } = world();
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    let port = channel.port();
    assert_eq!(events.with_ports(<[Port]>::to_vec), [port]);
    drop(channel);
    assert!(xen.open_ports().is_empty());
    assert!(events.with_ports(<[Port]>::is_empty));
    xen.raise(port);
    assert_eq!(events.dispatch(), 0);
}

#[test]
fn reused_port_starts_at_zero() {
    let World { xen, events, .. } = world();
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    xen.raise(channel.port());
    events.dispatch();
    xen.set_next_port(channel.port().0);
    drop(channel);
    assert_eq!(events.alloc_unbound(DomId::DOM0).unwrap().count(), 0);
}

#[test]
fn one_port_more_than_poll_takes_is_refused() {
    let World { xen, events, .. } = world();
    let mut channels: Vec<_> =
        (0..MAX_PORTS).map(|_| events.alloc_unbound(DomId::DOM0).unwrap()).collect();
    assert_eq!(events.alloc_unbound(DomId::DOM0).unwrap_err(), BindError::TooManyPorts);
    assert_eq!(xen.open_ports().len(), MAX_PORTS, "no port leaks");
    channels.pop();
    assert!(events.alloc_unbound(DomId::DOM0).is_ok());
}

#[test]
fn refusals_are_values() {
    let World { xen, events, .. } = world();
    let channel = events.adopt(Port(3)).unwrap();
    assert_eq!(events.adopt(channel.port()).unwrap_err(), BindError::BadPort(Port(3)));
    assert_eq!(events.adopt(Port(0)).unwrap_err(), BindError::BadPort(Port(0)));
    assert_eq!(events.adopt(Port(4096)).unwrap_err(), BindError::BadPort(Port(4096)));
    xen.refuse_bind();
    assert_eq!(events.bind_virq(Virq::Debug).unwrap_err(), BindError::Xen(Errno::ENOSPC));
}

/// A waker that binds a port, which takes the lock that `dispatch` has used.
#[test]
fn waker_may_use_the_events() {
    struct Binds(&'static Events);
    impl alloc::task::Wake for Binds {
        fn wake(self: alloc::sync::Arc<Self>) {
            drop(self.0.alloc_unbound(DomId::DOM0));
        }
    }
    let World { xen, events, .. } = world();
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    let waker = alloc::sync::Arc::new(Binds(events)).into();
    assert!(pin!(channel.wait(0)).poll(&mut Context::from_waker(&waker)).is_pending());
    xen.raise(channel.port());
    assert_eq!(events.dispatch(), 1);
}

/// What interrupts the poll reports where the domain was, and the console's daemon has to hear of the report.
#[test]
fn peer_is_notified_also_in_the_middle_of_a_poll() {
    let World { events, .. } = world();
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    events.with_ports(|ports| {
        assert_eq!(ports, [channel.port()]);
        channel.notify();
        channel.raise();
    });
    assert_eq!(events.dispatch(), 1);
}

#[test]
fn platform_wait_returns_at_once_for_an_undispatched_event() {
    let World { xen, events, clock, .. } = world();
    let platform = XenPlatform::new(xen, events, clock);
    let channel = events.alloc_unbound(DomId::DOM0).unwrap();
    let before = tsc();
    xen.raise(channel.port());
    platform.wait(Instant::NEVER);
    assert_eq!(tsc(), before, "no time passed");
    assert_eq!(platform.dispatch(), 1);
    let deadline = Instant::from_nanos(platform.now().as_nanos() + 500);
    platform.wait(deadline);
    assert_eq!(platform.now(), deadline);
    assert_eq!(xen.polls.load(Ordering::Relaxed), 2);
}

#[test]
fn platform_clock_starts_at_zero() {
    crate::fake::advance(77);
    let World { xen, events, clock, .. } = world();
    let platform: Box<dyn Platform> = Box::new(XenPlatform::new(xen, events, clock));
    assert_eq!(platform.now(), Instant::ZERO);
    crate::fake::advance(5);
    assert_eq!(platform.now().as_nanos(), 5);
}
