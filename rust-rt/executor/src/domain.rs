//! The one domain of this program: its executor, clock and poll as plain functions.
//!
//! The first use sets everything up, on the platform that the program's [`platform!`](crate::platform!) names. The
//! domain belongs to the thread of that first use: a call from another thread panics. Other threads reach the domain
//! through wakers and through a [`Remote`].
//!
//! Everything here does what the [`Domain`] method of the same name does.
//!
//! ```standalone_crate
//! use core::time::Duration;
//! use mirust_executor::{domain, platform::Platform, time::Instant};
//!
//! /// A clock that jumps to each deadline instead of waiting for it.
//! struct Clock(core::sync::atomic::AtomicU64);
//!
//! impl Platform for Clock {
//!     fn now(&self) -> Instant {
//!         Instant::from_nanos(self.0.load(core::sync::atomic::Ordering::Relaxed))
//!     }
//!     fn wall(&self) -> Duration {
//!         Duration::ZERO
//!     }
//!     fn dispatch(&self) -> usize {
//!         0
//!     }
//!     fn wait(&self, deadline: Instant) {
//!         self.0.store(deadline.as_nanos(), core::sync::atomic::Ordering::Relaxed);
//!     }
//! }
//!
//! static CLOCK: Clock = Clock(core::sync::atomic::AtomicU64::new(0));
//! mirust_executor::platform!(&CLOCK);
//!
//! # fn main() {
//! let answer = domain::block_on(async {
//!     let worker = domain::spawn(async {
//!         domain::sleep(Duration::from_secs(3600)).await;
//!         42
//!     });
//!     domain::timeout(Duration::from_secs(7200), worker).await
//! });
//! assert!(matches!(answer, Ok(Ok(42))));
//! # }
//! ```

use core::future::Future;

use crate::executor::{Guard, Turn};
use crate::owned::Owned;
use crate::platform::Platform;
use crate::poll::{Domain, PollStats, Ready, Remote};
use crate::resize::Listeners;
use crate::shutdown::{NextRequest, ShutdownReason, ShutdownRequested};
use crate::suspend::Hooks;
use crate::task::JoinHandle;
use crate::time::{Duration, Instant};
use crate::timers::{Elapsed, Interval, Sleep};

pub use crate::executor::yield_now;

/// The image's domain. Its platform is only known at run time: this module sits below none of them.
pub type ImageDomain = Domain<&'static dyn Platform>;

static DOMAIN: Owned<ImageDomain> = Owned::new();

// SAFETY: `platform!` defines it with this type, as a safe function.
unsafe extern "Rust" {
    /// The platform of this program, as [`platform!`](crate::platform!) defines it.
    safe fn __mirust_platform() -> &'static dyn Platform;
}

/// Defines the platform of the program: an expression of type `&'static dyn Platform`, evaluated at the
/// first use of the domain.
///
/// Exactly one crate of a program does this, as with a global allocator: `mirust-boot` for a Xen image,
/// `mirust-unix` for a Linux process. A program that uses the [`domain`](crate::domain) without one
/// does not link, because `__mirust_platform` is missing.
#[macro_export]
macro_rules! platform {
    ($platform:expr) => {
        const _: () = {
            #[unsafe(no_mangle)]
            fn __mirust_platform() -> &'static dyn $crate::platform::Platform {
                $platform
            }
        };
    };
}

/// Whether anybody has used the domain yet.
pub fn is_set_up() -> bool {
    DOMAIN.is_made()
}

/// The domain itself.
///
/// # Panics
///
/// On a thread that does not own it; on Xen, before boot has set it up.
#[inline]
pub fn get() -> &'static ImageDomain {
    match DOMAIN.get() {
        Some(domain) => domain,
        None => first(),
    }
}

/// Apart, so that what makes the domain is in an image once.
#[cold]
#[inline(never)]
fn first() -> &'static ImageDomain {
    DOMAIN.get_or_init(|| Domain::new(__mirust_platform()))
}

/// See [`Domain::spawn`].
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    get().spawn(future)
}

/// See [`Domain::sleep`].
pub fn sleep(duration: Duration) -> Sleep {
    get().sleep(duration)
}

/// See [`Domain::sleep_until`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    get().sleep_until(deadline)
}

/// See [`Domain::timeout`].
pub fn timeout<F: Future>(
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    get().timeout(limit, future)
}

/// See [`Domain::interval`].
pub fn interval(period: Duration) -> Interval {
    get().interval(period)
}

/// See [`Domain::now`].
pub fn now() -> Instant {
    get().now()
}

/// See [`Domain::recent_now`].
pub fn recent_now() -> Instant {
    get().recent_now()
}

/// See [`Domain::coarse_now`].
pub fn coarse_now() -> Instant {
    get().coarse_now()
}

/// See [`Platform::wall`].
pub fn wall() -> Duration {
    get().platform().wall()
}

/// See [`Domain::poll`].
pub fn poll(deadline: Instant) -> Ready {
    get().poll(deadline)
}

/// See [`Domain::run_tasks`].
pub fn run_tasks(most: usize) -> Turn {
    get().run_tasks(most)
}

/// See [`Domain::has_work`].
pub fn has_work() -> bool {
    get().has_work()
}

/// See [`Domain::rest`].
pub fn rest(deadline: Instant, wanted: impl FnOnce() -> bool) {
    get().rest(deadline, wanted)
}

/// See [`Domain::stats`].
pub fn stats() -> PollStats {
    get().stats()
}

/// See [`Domain::block_on`].
pub fn block_on<F: Future>(future: F) -> F::Output {
    get().block_on(future)
}

/// See [`Domain::block_on_with`].
pub fn block_on_with<F: Future>(future: F, foreign: impl FnMut(Ready) -> Instant) -> F::Output {
    get().block_on_with(future, foreign)
}

/// See [`Domain::remote`].
pub fn remote() -> Remote {
    get().remote()
}

/// See [`Remote::complete`].
pub fn complete(token: u64) {
    get().complete(token);
}

/// See [`Domain::next_completion`].
pub fn next_completion() -> Option<u64> {
    get().next_completion()
}

/// See [`Domain::has_completions`].
pub fn has_completions() -> bool {
    get().has_completions()
}

/// See [`Remote::signal_foreign`].
pub fn signal_foreign() {
    get().signal_foreign();
}

/// See [`Domain::request_shutdown`].
pub fn request_shutdown(reason: ShutdownReason) {
    get().request_shutdown(reason);
}

/// See [`Domain::shutdown_reason`].
pub fn shutdown_reason() -> Option<ShutdownReason> {
    get().shutdown_reason()
}

/// See [`Domain::shutdown_requested`].
pub fn shutdown_requested() -> ShutdownRequested {
    get().shutdown_requested()
}

/// See [`Domain::next_shutdown_request`].
pub fn next_shutdown_request() -> NextRequest {
    get().next_shutdown_request()
}

/// See [`Domain::resize_listeners`].
pub fn resize_listeners() -> &'static Listeners {
    get().resize_listeners()
}

/// See [`Domain::suspend_hooks`].
pub fn suspend_hooks() -> &'static Hooks {
    get().suspend_hooks()
}

/// See [`Domain::set_guard`].
pub fn set_guard(guard: Guard) {
    get().set_guard(guard);
}
