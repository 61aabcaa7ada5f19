//! Descriptors: sockets, events, files and names, for programs that were written for Linux.
//!
//! ```text
//!   C functions      io · epoll · poll · socket · transfer · files::calls · names
//!   the table        numbers → descriptions → objects                    table
//!   objects          eventfd · pipe · pair · timer · console · files · epoll::set
//!                    and, given by the image, sockets for TCP and UDP    object, socket
//!   notifications    receivers that want to know of readiness            watch
//!   waiting          given by the image                                  block
//! ```
//!
//! Objects never block. A call that may block makes an attempt; on EAGAIN it waits, by a function that the image
//! supplies, until the object notifies it, and tries again. An epoll set is one more receiver of notifications.
//!
//! The layer is the cargo feature `posix`; without it `fs.rs` has only the console. The image supplies what the layer
//! is built on ([`give_blocking`], [`give_network`], [`give_input`], [`mount`]), and the layer does not depend on it.

mod address;
mod answer;
mod block;
mod console;
mod control;
mod copy;
mod epoll;
mod eventfd;
mod events;
mod family;
mod files;
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
mod fortify;
mod identity;
mod inet;
mod interfaces;
mod io;
mod kernel;
mod local;
mod memory;
mod messages;
mod named;
mod names;
mod naming;
mod network;
mod object;
mod options;
mod pair;
mod parts;
mod pipe;
mod poll;
mod scheduling;
mod select;
mod services;
mod signalfd;
mod small;
mod socket;
mod socket_options;
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
mod streams;
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
mod syslog;
mod table;
mod terminal;
mod timer;
mod transfer;
mod turns;
mod watch;

pub use address::{Address, Name};
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
pub(crate) use block::wait_for_signal;
pub use block::{Blocking, CannotBlock, give as give_blocking};
pub use console::{ReadLine, give_input};
pub use events::Events;
pub use family::{Family, Type};
pub use files::{Changes, Found, Later, Store, Volume};
pub use files::{add as add_file, commit_files, mount, mount_store, mount_volume};
#[cfg(all(feature = "posix", any(test, feature = "symbols")))]
pub(crate) use kernel::served;
pub use kernel::system_call;
pub use memory::need;
pub use network::{Interface, Network, ResolveError, Resolving, give_network};
pub use object::{Object, Received, Shutdown, Socket};
pub use options::Options;
pub use parts::{Errno, Part, PartMut, Result, room, scatter, total};
pub use table::{O_NONBLOCK, count as descriptors};
pub use watch::Watchers;

#[cfg(test)]
mod block_tests;
#[cfg(test)]
mod debt_tests;
#[cfg(test)]
mod host_tests;
#[cfg(test)]
mod interrupt_tests;
#[cfg(test)]
mod named_tests;
#[cfg(test)]
mod on_main_tests;
#[cfg(test)]
mod shortage_tests;
#[cfg(test)]
mod wrong_tests;
