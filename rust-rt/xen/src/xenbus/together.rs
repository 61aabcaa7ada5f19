//! Several requests at once: each answer of xenstore takes two switches between domains, and a device asks for dozens.

use alloc::boxed::Box;
use core::{future::poll_fn, pin::pin, task::Poll};

/// What all of `futures` give, in their order, as soon as the last one is done.
pub async fn all<F: Future, const N: usize>(futures: [F; N]) -> [F::Output; N] {
    let mut pending = futures.map(|future| (Box::pin(future), None));
    poll_fn(|cx| {
        for (future, output) in pending.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                *output = Some(value);
            }
        }
        let done = pending.iter().all(|(_, output)| output.is_some());
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    pending.map(|(_, output)| output.expect("each of them is done"))
}

/// What both futures give.
pub async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none() {
            if let Poll::Ready(value) = a.as_mut().poll(cx) {
                first = Some(value);
            }
        }
        if second.is_none() {
            if let Poll::Ready(value) = b.as_mut().poll(cx) {
                second = Some(value);
            }
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (first, second) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xenstore::{Error, daemon::Rig};

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let rig = Rig::new();
        for (node, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
            rig.daemon.borrow_mut().change(node, value.as_bytes());
        }
        let read = async |node: &'static str| rig.store.read_parsed::<u32>(node).await;
        let answers = rig.run(all([read("c"), read("a"), read("none"), read("b")]));
        assert_eq!(answers, [Ok(3), Ok(1), Err(Error::NotFound), Ok(2)]);
        let (a, text) = rig.run(both(read("a"), rig.store.read_text("b")));
        assert_eq!((a, text.as_deref()), (Ok(1), Ok("2")));
    }

    #[test]
    fn all_questions_are_asked_before_the_first_answer() {
        let rig = Rig::new();
        rig.daemon.borrow_mut().hold = true;
        let read = async |node: &'static str| rig.store.read_text(node).await;
        let mut asked = Box::pin(all([read("a"), read("b"), read("c")]));
        assert!(crate::testing::poll_once(&mut asked).is_pending());
        rig.steps(4);
        assert_eq!(rig.daemon.borrow().held.len(), 3);
    }
}
