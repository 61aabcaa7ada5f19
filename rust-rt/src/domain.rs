//! The one domain of this image: its executor, clock and poll as plain functions.
//!
//! On Xen, boot code calls [`init`] once. In a Unix process the first use sets everything up, for
//! the thread that makes it. In both, all of this belongs to that one thread: a call from another
//! thread panics. Other threads reach the domain through wakers and through a [`Remote`].
//!
//! Everything here does what the [`Domain`] method of the same name does.
//!
#![cfg_attr(not(feature = "xen"), doc = "```standalone_crate")]
#![cfg_attr(feature = "xen", doc = "```no_run")]
//! use mirust_rt::domain;
//! use mirust_rt::time::Duration;
//!
//! let answer = domain::block_on(async {
//!     let worker = domain::spawn(async {
//!         domain::sleep(Duration::from_millis(2)).await;
//!         42
//!     });
//!     domain::timeout(Duration::from_secs(1), worker).await
//! });
//! assert!(matches!(answer, Ok(Ok(42))));
//! ```

use core::future::Future;

use crate::executor::{Elapsed, Guard, Interval, JoinHandle, Sleep};
use crate::platform::Platform;
use crate::poll::{Domain, PollStats, Ready, Remote};
use crate::shutdown::{ShutdownReason, ShutdownRequested};
use crate::time::{Duration, Instant};

pub use crate::executor::yield_now;

/// The image's domain. Its platform is only known at run time: this module sits below none of them.
pub type ImageDomain = Domain<&'static dyn Platform>;

static DOMAIN: owned::Owned<ImageDomain> = owned::Owned::new();

/// Sets the domain up, for the thread that calls.
///
/// # Panics
///
/// If the domain was set up before.
pub fn init(platform: &'static dyn Platform) {
    let mut platform = Some(platform);
    DOMAIN.get_or_init(|| Domain::new(platform.take().expect("called at most once")));
    assert!(platform.is_none(), "the domain was set up twice");
}

/// Whether [`init`] has run, or a first use that does the same.
pub fn is_set_up() -> bool {
    DOMAIN.is_made()
}

/// The domain itself.
///
/// # Panics
///
/// On a thread that does not own it; on Xen, before [`init`].
pub fn get() -> &'static ImageDomain {
    DOMAIN.get_or_init(|| {
        #[cfg(feature = "xen")]
        panic!("the domain was used before boot code set it up");
        #[cfg(not(feature = "xen"))]
        Domain::new(crate::unix::platform())
    })
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

/// See [`Platform::wall`].
pub fn wall() -> Duration {
    get().platform().wall()
}

/// See [`Domain::poll`].
pub fn poll(deadline: Instant) -> Ready {
    get().poll(deadline)
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

/// See [`Domain::set_guard`].
pub fn set_guard(guard: Guard) {
    get().set_guard(guard);
}

/// A static that belongs to the thread that first used it.
pub(crate) mod owned {
    /// A value made at its first use, for the thread of that first use only.
    pub(crate) struct Owned<T>(spin::Once<Inner<T>>);

    struct Inner<T> {
        owner: usize,
        value: T,
    }

    // SAFETY: `Owned` gives references to the value only to the thread that made it (checked in
    // `get_or_init`), and as a static it is never dropped. Other threads read only `owner`, which
    // never changes.
    unsafe impl<T> Sync for Inner<T> {}
    // SAFETY: as above: the value is made, used and left behind on one thread.
    unsafe impl<T> Send for Inner<T> {}

    impl<T> Owned<T> {
        pub(crate) const fn new() -> Self {
            Owned(spin::Once::new())
        }

        /// The value; `make` makes it if this is the first use.
        ///
        /// # Panics
        ///
        /// On another thread than the one of the first use.
        pub(crate) fn get_or_init(&'static self, make: impl FnOnce() -> T) -> &'static T {
            let here = thread();
            let inner = self.0.call_once(|| Inner { owner: here, value: make() });
            assert!(inner.owner == here, "the domain belongs to another thread");
            &inner.value
        }
    }

    impl<T> Owned<T> {
        /// Whether the value was made.
        pub(crate) fn is_made(&self) -> bool {
            self.0.is_completed()
        }
    }

    /// Names the calling thread among those that run.
    #[inline]
    pub(crate) fn thread() -> usize {
        #[cfg(feature = "xen")]
        return 0; // There is one vCPU and one thread of execution.
        #[cfg(not(feature = "xen"))]
        {
            let pointer: usize;
            // SAFETY: by the ABI for x86-64, every thread finds the address of its own thread-local
            // storage there; reading it changes nothing.
            unsafe {
                core::arch::asm!("mov {}, fs:0", out(reg) pointer,
                    options(nostack, preserves_flags, readonly, pure));
            }
            pointer
        }
    }
}
