//! What threads need from the image.

/// Memory for stacks, and thread-local storage. Supplied once, by the crate that wires the image together; every
/// function is called on the only thread of execution, and none may block.
pub struct Host {
    /// Maps `bytes` (whole pages) for a stack and leaves [`GUARD`] bytes below them without any
    /// mapping, so that an overflow is an exception. Returns the lowest usable address, or `None` if
    /// memory or addresses are exhausted.
    pub map: fn(bytes: usize) -> Option<usize>,
    /// Frees a stack made by `map`.
    ///
    /// The caller does not use it any more.
    pub unmap: unsafe fn(low: usize, bytes: usize),
    /// Bytes of memory in total, from which the default size of a stack is derived.
    pub memory: fn() -> usize,
    /// Bytes of thread-local storage below the thread pointer (ABI for x86-64, variant II), and of the
    /// control block from there up.
    pub tls_sizes: fn() -> (usize, usize),
    /// Initialises a block whose thread pointer is the argument, a multiple of 64: the variables' first
    /// values, and a control block with the canary that all threads have.
    ///
    /// The block is writable, and not in use.
    pub tls_init: unsafe fn(pointer: usize),
    /// Makes the block at this thread pointer the current one. 0 is the main stack's.
    ///
    /// The block was initialised.
    pub tls_use: unsafe fn(pointer: usize),
    /// Two words that belong to the running thread, such as C's `errno`: a switch saves them, and restores those of
    /// the other thread.
    pub own: fn() -> *mut [usize; 2],
}

/// Bytes without mapping below each stack. As much as below the boot stack: Rust touches every page of
/// a large frame in turn, but C does not.
pub const GUARD: usize = 16 << 10;
