//! A console ring for other code in this domain.

use super::page::Page;
use crate::{
    ring::{Corrupt, bytes::Consumer},
    shared::SharedPage,
    wire::bytering::CONSOLE_OUT,
};
use core::ptr::NonNull;
use mirust_mem::OutOfMemory;

/// A page with the layout of the domain's console, and our end of it. Nothing ever comes in there.
#[derive(Debug)]
pub struct SecondConsole {
    page: SharedPage,
    out: Consumer,
}

impl SecondConsole {
    /// A ring with nothing in it.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] for the page.
    pub fn new() -> Result<SecondConsole, OutOfMemory> {
        let page = Page::new()?.into_shared();
        Ok(SecondConsole { out: Consumer::attach(&page, CONSOLE_OUT), page })
    }

    /// The page, which is valid for ever.
    pub fn page(&self) -> NonNull<u8> {
        let base = core::ptr::with_exposed_provenance_mut(self.page.addr());
        NonNull::new(base).expect("a page is not at address zero")
    }

    /// Hands over what was written since the last time; whether that was anything. A ring that makes
    /// no sense has nothing in it any more.
    pub fn take(&mut self, write: impl Fn(&[u8])) -> bool {
        let mut bytes = [0; 512];
        let mut any = false;
        loop {
            match self.out.pull(&self.page, &mut bytes) {
                Ok(0) | Err(Corrupt) => return any,
                Ok(n) => {
                    write(&bytes[..n]);
                    any = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::bytes::Producer;
    use alloc::vec::Vec;
    use core::cell::RefCell;

    #[test]
    fn what_is_written_comes_out_until_the_ring_lies() {
        let mut console = SecondConsole::new().unwrap();
        // SAFETY: the page of the ring, valid for ever.
        let page = unsafe { SharedPage::new(console.page(), 4096) };
        let mut writer = Producer::attach(&page, CONSOLE_OUT);
        let (mut sent, out) = (Vec::new(), RefCell::new(Vec::new()));
        for i in 0..9 {
            let text = [b'a' + i; 700];
            assert_eq!(writer.push(&page, &text), Ok(700));
            sent.extend_from_slice(&text);
            assert!(console.take(|bytes| out.borrow_mut().extend_from_slice(bytes)));
        }
        assert!(!console.take(|_| panic!("there is nothing")));
        assert_eq!(out.take(), sent);
        page.store_u32(CONSOLE_OUT.prod, 9 * 700 + 2049);
        assert!(!console.take(|_| panic!("the index is impossible")));
    }
}
