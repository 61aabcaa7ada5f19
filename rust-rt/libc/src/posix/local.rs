//! Variables of the only thread of execution.

/// Declares a static for the only thread of execution. Tests run on several threads, each of which then has its
/// own.
macro_rules! local {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $init:expr;) => {
        $(#[$doc])*
        static $name: $crate::posix::local::Local<$type> = {
            #[cfg(not(test))]
            let local = $crate::posix::local::Local::new($init);
            #[cfg(test)]
            let local = {
                use core::mem::ManuallyDrop;
                // Never dropped: in an image there is no end of the thread either.
                std::thread_local! {
                    static EACH: ManuallyDrop<$type> = const { ManuallyDrop::new($init) };
                }
                $crate::posix::local::Local(&EACH)
            };
            local
        };
    };
}
pub(super) use local;

/// A static of the only thread of execution.
#[cfg(not(test))]
pub(super) struct Local<T>(T);

/// A static of each thread.
#[cfg(test)]
pub(super) struct Local<T: 'static>(
    pub(super) &'static std::thread::LocalKey<core::mem::ManuallyDrop<T>>,
);

// SAFETY: in an image there is one thread of execution for ever: threads there are stacks that it
// switches between, and never inside `with`, where nothing blocks. A Linux process that has this
// module (the feature `posix-on-unix`, for benchmarks) calls its functions from one thread only.
#[cfg(not(test))]
unsafe impl<T> Sync for Local<T> {}

#[cfg(not(test))]
impl<T> Local<T> {
    pub(super) const fn new(value: T) -> Self {
        Local(value)
    }

    /// The value. `f` must not block.
    pub(super) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0)
    }
}

#[cfg(test)]
impl<T> Local<T> {
    pub(super) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        self.0.with(|value| f(value))
    }
}
