//! C sockets over the OCaml stack, and everything else that the descriptors of `mirust-libc` need.
//!
//! `mirust_libc::posix` implements descriptors, events and files, and is passed a table of functions for whatever is
//! outside the program. This module provides these: sockets on top of [`net`](crate::net), names from the stack's
//! resolver, blocking and the way to the main stack from `mirust-fiber`, input from the console, and files from the
//! ramdisk and from disks. It is enabled by the feature `posix`, or, without OCaml and its sockets, by `descriptors`,
//! and only in images: on Linux, a program uses Linux's own.

mod disks;
#[cfg(feature = "posix")]
mod error;
#[cfg(feature = "posix")]
mod network;
#[cfg(feature = "redb")]
mod persistent;
#[cfg(feature = "posix")]
mod places;
#[cfg(feature = "posix")]
mod shortage;
mod stack;
#[cfg(feature = "posix")]
mod tcp;
#[cfg(feature = "posix")]
mod udp;

use mirust_rt::libc::posix::{self, Blocking, CannotBlock};

use crate::domain;
use crate::time::Instant;

pub use disks::{mount_disk, mount_disks, mount_files};
#[cfg(feature = "redb")]
pub use persistent::{mount_persistent, mount_writable_disks};
pub use posix::{add_file, descriptors, mount};

/// Gives the C functions what they need. Called once, before the program begins.
pub(crate) fn init() {
    #[cfg(not(feature = "xen"))]
    mirust_rt::libc::host::set(&HOST);
    posix::give_blocking(Blocking {
        block_on: |future| mirust_fiber::block_on(future).map_err(|_| CannotBlock),
        sleep_until: |deadline| Box::pin(domain::sleep_until(Instant::from_nanos(deadline))),
        on_main: |f| stack::on_main(f),
    });
    #[cfg(feature = "posix")]
    posix::give_network(network::NETWORK);
    #[cfg(feature = "xen")]
    {
        if mirust_rt::xen::console().is_some() {
            posix::give_input(read_line);
        }
        mirust_rt::boot::modules().for_each(posix::mount);
    }
}

/// What a Linux process has for them.
#[cfg(not(feature = "xen"))]
static HOST: mirust_rt::libc::host::Host = mirust_rt::libc::host::Host {
    console_write: |bytes| crate::platform::console_write(bytes),
    exit: |code| std::process::exit(code),
    abort: |reason| crate::platform::die(reason),
    monotonic_ns: || domain::now().as_nanos(),
    wall_ns: || domain::wall().as_nanos() as u64,
    random: |buf| {
        crate::platform::random(buf);
        true
    },
};

/// A line from the console of a domain. The image's own reader of it goes on from where it was.
#[cfg(feature = "xen")]
fn read_line(cx: &mut std::task::Context<'_>) -> std::task::Poll<Vec<u8>> {
    use std::future::Future;
    use std::pin::Pin;
    type Reading = Pin<Box<dyn Future<Output = Vec<u8>>>>;
    crate::local::domain_local! {
        static READING: std::cell::RefCell<Option<Reading>> = const { std::cell::RefCell::new(None) };
    }
    // It was there when this was given.
    let Some(console) = mirust_rt::xen::console() else { return std::task::Poll::Pending };
    READING.with_borrow_mut(|reading| {
        let line = reading.get_or_insert_with(|| Box::pin(console.read_line()));
        let found = line.as_mut().poll(cx);
        if found.is_ready() {
            *reading = None;
        }
        found
    })
}
