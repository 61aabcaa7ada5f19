//! Where the byte rings of the console and of xenstore lie in their pages.
//!
//! Both pages hold two byte queues, each with a free-running producer index and a free-running
//! consumer index. The data areas are powers of two, so `index % capacity` survives the wrap at
//! 2³².

/// One direction of a page: offsets in bytes from the start of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queue {
    /// First byte of the data area.
    pub data: usize,
    /// Size of the data area in bytes: a power of two.
    pub capacity: u32,
    /// The consumer's 32-bit index.
    pub cons: usize,
    /// The producer's 32-bit index.
    pub prod: usize,
}

impl Queue {
    /// Checks once what the arithmetic relies on.
    const fn at(data: usize, capacity: u32, cons: usize, prod: usize) -> Self {
        assert!(capacity.is_power_of_two() && cons % 4 == 0 && prod % 4 == 0);
        Queue { data, capacity, cons, prod }
    }
}

/// From the backend to the guest (`in` in Xen's `io/console.h`).
pub const CONSOLE_IN: Queue = Queue::at(0, 1024, 3072, 3076);
/// From the guest to the backend (`out` in Xen's `io/console.h`).
pub const CONSOLE_OUT: Queue = Queue::at(1024, 2048, 3080, 3084);

/// From the guest to xenstored (`req` in Xen's `io/xs_wire.h`).
pub const XENSTORE_REQ: Queue = Queue::at(0, 1024, 2048, 2052);
/// From xenstored to the guest (`rsp` in Xen's `io/xs_wire.h`).
pub const XENSTORE_RSP: Queue = Queue::at(1024, 1024, 2056, 2060);
/// What the server can do: a 32-bit mask of `FEATURE_…`.
pub const XENSTORE_FEATURES: usize = 2064;
/// The 32-bit connection state.
pub const XENSTORE_CONNECTION: usize = 2068;

/// The server resets the ring when the guest asks for it.
pub const FEATURE_RECONNECTION: u32 = 1;
/// The steady state of the connection field.
pub const CONNECTED: u32 = 0;
/// The guest has asked for a reset; the server answers with [`CONNECTED`].
pub const RECONNECT: u32 = 1;
