//! A thread's beginning and end.

use alloc::boxed::Box;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, Ordering};

use super::attributes::Attributes;
use super::{ANY, Block, NEVER, Start, Waited, refused, required};
use crate::errno::{EAGAIN, EDEADLK, EINVAL, ERANGE, ESRCH};
use crate::{cstr, env, pthread};

type Function = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

pub(crate) type Create = unsafe fn(*mut usize, *const c_void, Function, *mut c_void) -> c_int;

/// The main stack's is 1.
static LAST_NUMBER: AtomicI32 = AtomicI32::new(1);

/// `pthread_create`. EAGAIN when there is no memory for the stack.
///
/// # Safety
///
/// As of C's.
pub(crate) unsafe fn create(
    thread: *mut usize,
    attributes: *const c_void,
    function: Function,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: null, or attributes that were initialised.
    let attributes = unsafe { attributes.cast::<Attributes>().as_ref() };
    let (stack, detached) = attributes.map_or((0, false), |a| (a.stack, a.detached != 0));
    let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    if number == 2 {
        choose_order();
    }
    let block = Box::into_raw(Block::new(function, argument, detached));
    let mut name = [0; 17];
    let name = decimal(&mut name, number);
    let started = (required().given.start)(&Start {
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

/// Another order of ready threads for each `MIRUST_THREAD_ORDER` in the environment, so that a test can
/// try many, and one can be had again.
fn choose_order() {
    let seed = env::get(b"MIRUST_THREAD_ORDER").and_then(|text| text.to_str().ok()?.parse().ok());
    if let Some(seed) = seed {
        (required().given.set_order)(seed);
    }
}

/// A thread, from its first function to its last.
unsafe extern "C" fn run(block: *mut c_void) {
    let given = required().given;
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

/// Runs destructors, and tells who waits. The block may be gone afterwards.
///
/// # Safety
///
/// `block` is that of the thread that runs.
unsafe fn end(block: *mut Block) {
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
            // SAFETY: who registered it promised that it can be called when the thread ends.
            unsafe { (handler.function)(handler.argument) };
        }
        // SAFETY: as above.
        unsafe { pthread::run_key_destructors(&block.values) };
        block.ended.set(true);
        if !block.detached.get() {
            (required().given.wake)(ptr::from_ref(&block.ended).addr(), ANY, usize::MAX);
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
        if (required().given.wait)(address, ANY, NEVER) == Waited::Refused {
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

/// Ends the thread; destructors run, but nothing on its stack is dropped. On the main stack the program
/// ends.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_exit(result: *mut c_void) -> ! {
    let Some(block) = Block::current() else { crate::process::exit(0) };
    block.result.set(result);
    // SAFETY: it is the current one, and not used again.
    unsafe { end(ptr::from_ref(block).cast_mut()) };
    (required().given.exit)()
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn pthread_equal(a: usize, b: usize) -> c_int {
    c_int::from(a == b)
}

/// The name in crash reports and in the watchdog's lines; ERANGE for more than 15 bytes. The main
/// stack's cannot be changed, which is not an error.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_setname_np(thread: usize, name: *const c_char) -> c_int {
    // SAFETY: a C string, by contract.
    let bytes = unsafe { cstr::bytes(name) };
    if bytes.len() > 15 {
        return ERANGE;
    }
    // SAFETY: a thread, by contract.
    let Some(block) = (unsafe { Block::of(thread) }) else { return 0 };
    let mut name = [0; 16];
    name[..bytes.len()].copy_from_slice(bytes);
    block.name.set(name);
    if let (false, Ok(name)) = (block.fiber.get().is_null(), core::str::from_utf8(bytes)) {
        // SAFETY: its own name for it, and it has not ended.
        unsafe { (required().given.set_name)(block.fiber.get(), name) };
    }
    0
}

/// The name that was set, or an empty one.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_getname_np(thread: usize, to: *mut c_char, len: usize) -> c_int {
    // SAFETY: a thread, by contract.
    let name =
        unsafe { Block::of(thread) }.map_or(*b"main\0\0\0\0\0\0\0\0\0\0\0\0", |b| b.name.get());
    if len < name.len() {
        return ERANGE;
    }
    // SAFETY: there are `len` bytes by contract.
    unsafe { to.cast::<u8>().copy_from_nonoverlapping(name.as_ptr(), name.len()) };
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
