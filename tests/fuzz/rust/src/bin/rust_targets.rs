//! The Rust targets under libFuzzer, whose `main` this program has. TARGET in the environment says which.
#![no_main]

use mirust_fuzz::{Left, Target, target};
use std::sync::OnceLock;

#[global_allocator]
static LEFT: Left = Left::new();

static CHOSEN: OnceLock<Target> = OnceLock::new();

/// Called once, before anything else.
#[unsafe(no_mangle)]
extern "C" fn LLVMFuzzerInitialize(_argc: *const i32, _argv: *const *const *const u8) -> i32 {
    let name = std::env::var("TARGET").expect("TARGET names a target");
    let target = target(&name).expect("a target of that name");
    // What is set up when it is used first.
    target(&[]);
    target(&[7; 200]);
    CHOSEN.set(target).ok().expect("once");
    0
}

/// Called for each input.
///
/// # Safety
/// There are `size` bytes at `data`.
#[unsafe(no_mangle)]
unsafe extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> i32 {
    let target = CHOSEN.get().expect("initialised before");
    let data = match size {
        0 => &[],
        // SAFETY: as libFuzzer promises; it is not changed meanwhile.
        _ => unsafe { core::slice::from_raw_parts(data, size) },
    };
    // SAFETY: one thread, in which each target has run before. A target builds its world and leaves it.
    unsafe { LEFT.within(|| target(data)) };
    0
}
