//! A thread's early end, and its name: only programs with threads call these.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use super::block::Block;
use super::{lifetime, required};
use crate::errno::ERANGE;
use crate::{cstr, process};

/// Ends the thread; destructors run, but nothing on its stack is dropped. On the main stack the program
/// ends.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn pthread_exit(result: *mut c_void) -> ! {
    let Some(block) = Block::current() else { process::exit(0) };
    block.result.set(result);
    // SAFETY: it is the current one, and not used again. That nothing refers to the stack is the caller's promise, by
    // POSIX.
    unsafe {
        lifetime::end(ptr::from_ref(block).cast_mut());
        (required().exit)()
    }
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
        unsafe { (required().set_name)(block.fiber.get(), name) };
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
