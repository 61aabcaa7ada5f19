//! The runtime for a binary crate that does not mention Mirust.
//!
//! `cargo mirust` links this archive into one object in which only C's symbols are global (see `ffi/link/program`), and
//! links that object with the objects of the program. The image then contains two copies of Rust's std, the program's
//! and the runtime's, and neither sees the other.
#![cfg(feature = "xen")]

use core::ffi::{c_char, c_int};

// SAFETY: rustc makes a C `main` of this type of every program's `fn main`.
unsafe extern "C-unwind" {
    /// The program's. rustc makes it of `fn main`.
    fn main(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) -> c_int;
}

// SAFETY: `cargo mirust` defines it with this type, or lets its name mean `mirust_nothing`.
unsafe extern "C" {
    /// Mounts what the image was given besides the program: files, by the functions below.
    safe fn mirust_before_main();
}

/// Where the platform begins the program.
#[unsafe(no_mangle)]
extern "C-unwind" fn mirust_main() -> c_int {
    // SAFETY: `main` has C's type for it, and is called once, here.
    unsafe { mirust::entry::run_c(main, || mirust_before_main()) }
}

/// What a program without files of its own does before `main`.
#[unsafe(no_mangle)]
extern "C" fn mirust_nothing() {}

/// Mounts an archive of files that is a part of the image.
///
/// # Safety
///
/// `length` bytes are at `archive`, for ever.
#[unsafe(no_mangle)]
unsafe extern "C" fn mirust_mount_files(archive: *const u8, length: usize) {
    // SAFETY: as the caller says.
    mirust::posix::mount(unsafe { core::slice::from_raw_parts(archive, length) });
}

/// Mounts the files of disks: `DEVICE:PATH`, with commas between several. The environment variable
/// `MIRUST_DISKS` takes the list's place. Ends the program if a disk is not there or has no files.
///
/// # Safety
///
/// `length` bytes of UTF-8 are at `list`.
#[unsafe(no_mangle)]
unsafe extern "C" fn mirust_mount_disks(list: *const u8, length: usize) {
    // SAFETY: as the caller says.
    let list = unsafe { core::slice::from_raw_parts(list, length) };
    // SAFETY: as the caller says.
    mirust::posix::mount_disks(unsafe { core::str::from_utf8_unchecked(list) });
}

/// The same, if the files of a disk among them are to be written: `DEVICE:PATH:rw`.
///
/// # Safety
///
/// As [`mirust_mount_disks`].
#[unsafe(no_mangle)]
unsafe extern "C" fn mirust_mount_writable_disks(list: *const u8, length: usize) {
    // SAFETY: as the caller says.
    let list = unsafe { core::slice::from_raw_parts(list, length) };
    // SAFETY: as the caller says.
    mirust::posix::mount_writable_disks(unsafe { core::str::from_utf8_unchecked(list) });
}

/// What the program's std prints in place of its own backtrace, for which it would have to read the program's
/// file. `cargo mirust` puts this where std's `fmt` method was, whose result `Ok(())` is 0.
#[unsafe(no_mangle)]
extern "C" fn mirust_std_backtrace() -> bool {
    mirust::entry::print_backtrace();
    false
}

/// Stands for C functions about other processes, which can only fail here. `cargo mirust` makes their names refer to
/// this with `--allow-missing`, and in the harness of `cargo test`, which needs them only with `panic = "abort"`.
#[unsafe(no_mangle)]
extern "C" fn mirust_no_process() -> c_int {
    // SAFETY: the type is that of `errno.h`.
    unsafe extern "C" {
        fn __errno_location() -> *mut c_int;
    }
    // SAFETY: the runtime's `__errno_location` gives the calling thread's errno, which nobody else writes to.
    unsafe { *__errno_location() = ENOSYS };
    -1
}

/// The same for `posix_spawn` and its relatives, which return an error's number.
#[unsafe(no_mangle)]
extern "C" fn mirust_no_spawn() -> c_int {
    ENOSYS
}

/// Linux's number.
const ENOSYS: c_int = 38;
