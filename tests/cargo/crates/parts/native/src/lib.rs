//! C code.

mod c {
    // SAFETY: these files define them with these types; they touch no memory of their caller's.
    unsafe extern "C" {
        pub safe fn constructed() -> i32;
        pub safe fn twice(n: i32) -> i32;
        pub safe fn library() -> i32;
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

/// The line of the first thing that C's library does not do; 0 if there is none.
pub fn library() -> i32 {
    c::library()
}
