//! The numbers that name things between domains.

use core::fmt;

/// A domain identifier (`domid_t` in Xen's `xen.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct DomId(pub u16);

impl DomId {
    /// The domain that makes the hypercall (`DOMID_SELF`).
    pub const SELF: DomId = DomId(0x7ff0);
    /// The first domain, where xenstored and most backends live.
    pub const DOM0: DomId = DomId(0);
}

impl fmt::Display for DomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A local event channel port (`evtchn_port_t` in Xen's `event_channel.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Port(pub u32);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An index into a domain's grant table (`grant_ref_t` in Xen's `grant_table.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct GrantRef(pub u32);

impl fmt::Display for GrantRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A guest frame number: a guest-physical address divided by 4096.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Gfn(pub u64);

impl Gfn {
    /// The frame that holds the guest-physical address `addr`.
    pub const fn of_addr(addr: u64) -> Self {
        Gfn(addr >> 12)
    }

    /// The guest-physical address of the frame's first byte.
    pub const fn addr(self) -> u64 {
        self.0 << 12
    }
}
