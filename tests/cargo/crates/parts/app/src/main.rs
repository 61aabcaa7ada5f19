//! One of two programs: what was made at build time, by a macro and in C.

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(40) };
}

fn main() {
    COUNT.set(COUNT.get() + 2);
    println!("thread-local {}", COUNT.get());
    println!("macro {}", macros::six_times!(7));
    println!("C {}", native::twice(21));
    println!("build script {}", native::TARGET);
    println!("constructor {}", native::constructed());
}
