//! The console of a domain that is just coming up.
//!
//! A failure at boot has to be reported before there is a heap, a clock or an event channel, and has to end the domain
//! as crashed: otherwise the domain would restart again and again without a visible reason. The ring exists from the
//! first instruction on, so it is written to directly.

use crate::{
    abi,
    hypervisor::Hypervisor,
    ring::bytes::Producer,
    shared::SharedPage,
    wire::{Gfn, Port, bytering::CONSOLE_OUT},
};
use core::{fmt, ptr::NonNull};
use mirust_mem::PAGE_SIZE;

/// How often the ring is checked before the daemon counts as gone. Each check makes a hypercall, since a domain that
/// only spins would keep the CPU from the daemon for longer; all of them take a second or so.
const LOOKS: u32 = 1 << 20;

/// The ring, and how to tell the daemon.
pub struct EarlyConsole {
    hypervisor: &'static dyn Hypervisor,
    page: SharedPage,
    port: Port,
}

impl EarlyConsole {
    /// The address of the console's page, which is a physical one; `None` if the domain has no console.
    pub fn addr(hypervisor: &dyn Hypervisor) -> Option<usize> {
        let gfn = hypervisor.hvm_param(abi::HVM_PARAM_CONSOLE_PFN).ok().filter(|gfn| *gfn != 0)?;
        usize::try_from(Gfn(gfn).addr()).ok()
    }

    /// The console whose page is at `addr`.
    ///
    /// # Safety
    ///
    /// The page is mapped there for reading and writing for as long as the console is used, and nobody has a
    /// reference into it.
    pub unsafe fn new(hypervisor: &'static dyn Hypervisor, addr: usize) -> Option<EarlyConsole> {
        let port = hypervisor.hvm_param(abi::HVM_PARAM_CONSOLE_EVTCHN).ok()?;
        let port = Port(u32::try_from(port).ok().filter(|port| *port != 0)?);
        let base = NonNull::new(core::ptr::with_exposed_provenance_mut(addr))?;
        // SAFETY: the caller's promise.
        let page = unsafe { SharedPage::new(base, PAGE_SIZE) };
        Some(EarlyConsole { hypervisor, page, port })
    }

    /// Writes text; a line feed becomes a carriage return and a line feed. What the daemon does not make room for is
    /// lost.
    pub fn write(&self, text: &[u8]) {
        let mut producer = Producer::attach(&self.page, CONSOLE_OUT);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let (line, end): (_, &[u8]) = match line.strip_suffix(b"\n") {
                Some(line) => (line, b"\r\n"),
                None => (line, b""),
            };
            for mut bytes in [line, end] {
                while !bytes.is_empty() {
                    match producer.push(&self.page, bytes) {
                        Ok(0) if self.wait(&mut producer, CONSOLE_OUT.capacity as usize - 1) => {}
                        Ok(0) | Err(_) => return,
                        Ok(sent) => bytes = &bytes[sent..],
                    }
                }
            }
        }
        let _ = self.hypervisor.evtchn_send(self.port);
    }

    /// Waits until the daemon has read everything, or seems not to be there. For the end of the domain.
    pub fn drain(&self) {
        self.wait(&mut Producer::attach(&self.page, CONSOLE_OUT), 0);
    }

    /// Waits until at most `left` bytes are unread. False if that does not happen.
    fn wait(&self, producer: &mut Producer, left: usize) -> bool {
        let _ = self.hypervisor.evtchn_send(self.port);
        for _ in 0..LOOKS {
            match producer.unread(&self.page) {
                Ok(unread) if unread <= left => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
            self.hypervisor.version();
        }
        false
    }
}

impl fmt::Debug for EarlyConsole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyConsole").field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fake::world, ring::bytes::Consumer, testing::shared_page};

    fn read(page: &SharedPage) -> alloc::vec::Vec<u8> {
        let mut bytes = [0; 4096];
        let n = Consumer::attach(page, CONSOLE_OUT).pull(page, &mut bytes).unwrap();
        bytes[..n].to_vec()
    }

    #[test]
    fn text_is_in_the_ring_and_the_daemon_is_told() {
        let xen = world().xen;
        let (page, peer) = shared_page();
        let port = xen.evtchn_alloc_unbound(crate::wire::DomId(0)).unwrap();
        let console = EarlyConsole { hypervisor: xen, page, port };
        console.write(b"cannot boot: no memory\n");
        assert_eq!(read(&peer), b"cannot boot: no memory\r\n");
        assert_eq!(xen.take_sent(), [port]);
        console.drain();
    }

    #[test]
    fn a_daemon_that_is_gone_or_lies_does_not_hold_the_domain() {
        let xen = world().xen;
        let (page, peer) = shared_page();
        let port = xen.evtchn_alloc_unbound(crate::wire::DomId(0)).unwrap();
        let console = EarlyConsole { hypervisor: xen, page, port };
        console.write(&[b'x'; 3000]);
        assert_eq!(read(&peer).len(), 2048);
        peer.store_u32(CONSOLE_OUT.cons, 77_777);
        console.write(b"more\n");
        console.drain();
    }
}
