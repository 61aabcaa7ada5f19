//! C code.

mod c {
    // SAFETY: twice.c defines both with these types; they touch no memory of their caller's.
    unsafe extern "C" {
        pub safe fn constructed() -> i32;
        pub safe fn twice(n: i32) -> i32;
    }
}

/// What the build script was told.
pub const TARGET: &str = env!("BUILT_FOR");

/// Twice `n`, in C.
pub fn twice(n: i32) -> i32 {
    c::twice(n)
}

/// Whether C's constructor has run.
pub fn constructed() -> bool {
    c::constructed() == 1
}
