//! Byte queues with free-running 32-bit indices.

use super::Corrupt;
use crate::{shared::SharedPage, wire::bytering::Queue};

/// Our end of a queue that we fill.
#[derive(Debug)]
pub struct Producer {
    queue: Queue,
    prod: u32,
    broken: bool,
}

/// Our end of a queue that the peer fills.
#[derive(Debug)]
pub struct Consumer {
    queue: Queue,
    cons: u32,
    broken: bool,
}

impl Producer {
    /// Takes up the queue where the page says that its producer stopped. This is the only time
    /// that our own index is read from the page.
    pub fn attach(page: &SharedPage, queue: Queue) -> Self {
        Producer { queue, prod: page.load_u32(queue.prod), broken: false }
    }

    /// Bytes that the peer has not taken yet.
    pub fn unread(&mut self, page: &SharedPage) -> Result<usize, Corrupt> {
        let used = self.prod.wrapping_sub(page.load_u32(self.queue.cons));
        if self.broken || used > self.queue.capacity {
            self.broken = true;
            return Err(Corrupt);
        }
        Ok(used as usize)
    }

    /// Appends as many of `bytes` as there is room for and returns how many that were. The peer has
    /// to be notified if there were any.
    pub fn push(&mut self, page: &SharedPage, bytes: &[u8]) -> Result<usize, Corrupt> {
        let capacity = self.queue.capacity as usize;
        let len = bytes.len().min(capacity - self.unread(page)?);
        let start = self.prod as usize % capacity;
        let (head, tail) = bytes[..len].split_at(len.min(capacity - start));
        page.write(self.queue.data + start, head);
        page.write(self.queue.data, tail);
        self.prod = self.prod.wrapping_add(len as u32);
        // A release store: a peer that sees the new index sees the bytes.
        page.store_u32(self.queue.prod, self.prod);
        Ok(len)
    }
}

impl Consumer {
    /// Takes up the queue where the page says that its consumer stopped. This is the only time
    /// that our own index is read from the page.
    pub fn attach(page: &SharedPage, queue: Queue) -> Self {
        Consumer { queue, cons: page.load_u32(queue.cons), broken: false }
    }

    /// Moves up to `out.len()` bytes into `out` and returns how many that were. The peer has to be
    /// notified if there were any: it may wait for room.
    pub fn pull(&mut self, page: &SharedPage, out: &mut [u8]) -> Result<usize, Corrupt> {
        // An acquire load: the bytes that this index covers are visible after it.
        let used = page.load_u32(self.queue.prod).wrapping_sub(self.cons);
        if self.broken || used > self.queue.capacity {
            self.broken = true;
            return Err(Corrupt);
        }
        let capacity = self.queue.capacity as usize;
        let len = out.len().min(used as usize);
        let start = self.cons as usize % capacity;
        let (head, tail) = out[..len].split_at_mut(len.min(capacity - start));
        page.read(self.queue.data + start, head);
        page.read(self.queue.data, tail);
        self.cons = self.cons.wrapping_add(len as u32);
        // A release store: the bytes are copied before the peer may overwrite them.
        page.store_u32(self.queue.cons, self.cons);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, shared_page};
    use crate::wire::bytering::{XENSTORE_REQ, XENSTORE_RSP};
    use alloc::vec::Vec;

    #[test]
    fn bytes_arrive_in_order_across_both_wraps() {
        let (page, peer) = shared_page();
        // Start just below 2^32, so that the index wraps as well as the data area.
        for offset in [XENSTORE_REQ.prod, XENSTORE_REQ.cons] {
            page.store_u32(offset, u32::MAX - 700);
        }
        let mut producer = Producer::attach(&page, XENSTORE_REQ);
        let mut consumer = Consumer::attach(&peer, XENSTORE_REQ);
        let mut random = Random::new(2);
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        while received.len() < 20_000 {
            let bytes: Vec<u8> = (0..random.below(1500)).map(|_| random.bits() as u8).collect();
            let n = producer.push(&page, &bytes).unwrap();
            sent.extend_from_slice(&bytes[..n]);
            let mut out = [0; 1500];
            let n = consumer.pull(&peer, &mut out[..random.below(1500)]).unwrap();
            received.extend_from_slice(&out[..n]);
        }
        assert_eq!(received, sent[..received.len()]);
        assert_eq!(producer.unread(&page), Ok(sent.len() - received.len()));
    }

    #[test]
    fn full_queue_takes_nothing() {
        let (page, _) = shared_page();
        let mut producer = Producer::attach(&page, XENSTORE_REQ);
        assert_eq!(producer.push(&page, &[1; 2000]), Ok(1024));
        assert_eq!(producer.push(&page, &[2; 1]), Ok(0));
        assert_eq!(producer.unread(&page), Ok(1024));
    }

    #[test]
    fn producer_rejects_a_consumer_that_runs_ahead_and_stays_broken() {
        let (page, peer) = shared_page();
        let mut producer = Producer::attach(&page, XENSTORE_REQ);
        assert_eq!(producer.push(&page, b"abc"), Ok(3));
        peer.store_u32(XENSTORE_REQ.cons, 4);
        assert_eq!(producer.push(&page, b"abc"), Err(Corrupt));
        peer.store_u32(XENSTORE_REQ.cons, 3);
        assert_eq!(producer.push(&page, b"abc"), Err(Corrupt));
    }

    #[test]
    fn consumer_rejects_a_producer_that_overflows_or_goes_back() {
        for lie in [1025, u32::MAX] {
            let (page, peer) = shared_page();
            let mut consumer = Consumer::attach(&page, XENSTORE_RSP);
            peer.store_u32(XENSTORE_RSP.prod, lie);
            assert_eq!(consumer.pull(&page, &mut [0; 8]), Err(Corrupt));
            peer.store_u32(XENSTORE_RSP.prod, 0);
            assert_eq!(consumer.pull(&page, &mut [0; 8]), Err(Corrupt));
        }
    }

    #[test]
    fn own_index_is_not_read_back_from_the_page() {
        let (page, peer) = shared_page();
        let mut producer = Producer::attach(&page, XENSTORE_REQ);
        peer.store_u32(XENSTORE_REQ.prod, 77);
        assert_eq!(producer.push(&page, b"ab"), Ok(2));
        assert_eq!(peer.load_u32(XENSTORE_REQ.prod), 2);
    }
}
