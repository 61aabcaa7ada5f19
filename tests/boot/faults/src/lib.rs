//! An image that fails in the way its command line asks for.
#![cfg(feature = "xen")]

mod standins;

use mirust_rt::diag::console;

#[unsafe(no_mangle)]
extern "C" fn mirust_main() -> i32 {
    console::print(format_args!("hello\n"));
    3
}
