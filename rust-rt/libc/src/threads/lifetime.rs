//! A thread's beginning and end.

use alloc::boxed::Box;
use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, Ordering};

use super::block::{Block, one_less, one_more};
use super::fibers::{ANY, NEVER, Start, Waited, given};
use super::objects::Attributes;
use super::table::Function;
use super::waiting::refused;
use crate::errno::{EAGAIN, EDEADLK, EINVAL, ESRCH};
use crate::{env, keys, room, stack_signals};

/// The main stack's is 1.
static LAST_NUMBER: AtomicI32 = AtomicI32::new(1);

/// `pthread_create`. EAGAIN when there is no memory for the thread or its stack.
///
/// # Safety
///
/// As of C's.
pub(crate) unsafe fn create(
    thread: *mut usize,
    attributes: *const Attributes,
    function: Function,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: null, or attributes that were initialised.
    let attributes = unsafe { attributes.as_ref() };
    let (stack, detached) = attributes.map_or((0, false), |a| (a.stack, a.detached != 0));
    let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    if number == 2 {
        choose_order();
    }
    if !room::is_there(room::THING) {
        return EAGAIN;
    }
    let block = Box::into_raw(Block::new(function, argument, detached));
    let mut name = [0; 17];
    let name = decimal(&mut name, number);
    let started = (given().start)(&Start {
        stack,
        name,
        own: [(number as usize) << 32, block.expose_provenance()],
        run,
        argument: block.cast(),
    });
    if !started {
        // SAFETY: made above, and nobody else has it.
        drop(unsafe { Box::from_raw(block) });
        return EAGAIN;
    }
    one_more();
    // SAFETY: made above. The thread has not run yet.
    stack_signals::begin(unsafe { &(*block).signals }, Block::signals().blocked.get());
    // SAFETY: writable by contract. The thread has not run yet.
    unsafe { *thread = block.expose_provenance() };
    0
}

/// `thread N`, at the end of the text.
fn decimal(text: &mut [u8; 17], number: c_int) -> &str {
    let mut places = text.iter_mut().rev();
    let mut rest = number;
    while rest > 0 {
        let Some(place) = places.next() else { break };
        (*place, rest) = (b'0' + (rest % 10) as u8, rest / 10);
    }
    for (letter, place) in b"thread ".iter().rev().zip(&mut places) {
        *place = *letter;
    }
    let start = places.len();
    text.get(start..).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("thread")
}

/// A different order of ready threads for each `MIRUST_THREAD_ORDER` in the environment, so that a test can
/// try many of them and reproduce each.
fn choose_order() {
    let seed = env::get(b"MIRUST_THREAD_ORDER").and_then(|text| text.to_str().ok()?.parse().ok());
    if let Some(seed) = seed {
        (given().set_order)(seed);
    }
}

/// A thread, from its first function to its last.
unsafe extern "C" fn run(block: *mut c_void) {
    let given = given();
    {
        // SAFETY: what `create` made, and nobody frees before it has ended.
        let block = unsafe { &*block.cast::<Block>() };
        block.fiber.set((given.current)());
        block.bounds.set((given.bounds)());
        // SAFETY: the starter's promise.
        block.result.set(unsafe { (block.function)(block.argument) });
    }
    // SAFETY: as above; we do not return to its function.
    unsafe { end(block.cast()) }
}

/// Runs destructors, and wakes the thread that joins this one. The block may be gone afterwards.
///
/// # Safety
///
/// `block` is that of the thread that runs.
pub(super) unsafe fn end(block: *mut Block) {
    {
        // SAFETY: as the caller says.
        let block = unsafe { &*block };
        // Variables first, as with the host's library: their destructors may use keys.
        loop {
            // The list is there again before the destructor runs, which may register others.
            let mut handlers = block.destructors.take();
            let handler = handlers.pop();
            block.destructors.set(handlers);
            let Some(handler) = handler else { break };
            // SAFETY: when it was registered, the caller promised that it can be called when the thread ends.
            unsafe { (handler.function)(handler.argument) };
        }
        // SAFETY: as above.
        unsafe { keys::run_key_destructors(&block.values) };
        one_less();
        stack_signals::end(&block.signals);
        block.ended.set(true);
        if !block.detached.get() {
            (given().wake)(ptr::from_ref(&block.ended).addr(), ANY, usize::MAX);
            return;
        }
    }
    // SAFETY: nobody joins a detached thread, so we are the last who know the block.
    drop(unsafe { Box::from_raw(block) });
}

/// `pthread_join`.
///
/// # Safety
///
/// As of C's: once for each thread.
pub(crate) unsafe fn join(thread: usize, result: *mut *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    let Some(block) = (unsafe { Block::of(thread) }) else { return EDEADLK };
    if Block::current().is_some_and(|me| ptr::eq(me, block)) {
        return EDEADLK;
    }
    if block.detached.get() || block.joined.replace(true) {
        return EINVAL;
    }
    while !block.ended.get() {
        let address = ptr::from_ref(&block.ended).addr();
        if (given().wait)(address, ANY, NEVER) == Waited::Refused {
            block.joined.set(false);
            refused("pthread_join");
            return EDEADLK;
        }
    }
    if !result.is_null() {
        // SAFETY: writable by contract.
        unsafe { *result = block.result.get() };
    }
    // SAFETY: the thread has ended, and we alone have joined it.
    drop(unsafe { Box::from_raw(ptr::from_ref(block).cast_mut()) });
    0
}

/// `pthread_detach`.
///
/// # Safety
///
/// As of C's.
pub(crate) unsafe fn detach(thread: usize) -> c_int {
    // SAFETY: the caller's promise.
    let Some(block) = (unsafe { Block::of(thread) }) else { return ESRCH };
    if block.detached.get() || block.joined.get() {
        return EINVAL;
    }
    block.detached.set(true);
    if block.ended.get() {
        // SAFETY: the thread has ended, and nobody will name it again.
        drop(unsafe { Box::from_raw(ptr::from_ref(block).cast_mut()) });
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers() {
        for (number, expected) in
            [(2, "thread 2"), (1234, "thread 1234"), (c_int::MAX, "thread 2147483647")]
        {
            let mut text = [0; 17];
            assert_eq!(decimal(&mut text, number), expected);
        }
    }
}
