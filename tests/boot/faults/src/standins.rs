//! C symbols until the runtime's own libc layer is there. Removed then.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};

macro_rules! minus_one {
    ($($name:ident)*) => { $( #[unsafe(no_mangle)] extern "C" fn $name() -> isize { -1 } )* };
}
minus_one!(fstat64 getcwd open64 readlink realpath stat64 close lseek64 mmap64 munmap read syscall);
macro_rules! zero {
    ($($name:ident)*) => { $( #[unsafe(no_mangle)] extern "C" fn $name() -> isize { 0 } )* };
}
zero!(pthread_cond_broadcast pthread_cond_wait pthread_mutex_lock pthread_mutex_unlock
      free getenv);

#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut i32 {
    static mut ERRNO: i32 = 0;
    &raw mut ERRNO
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(d: *mut u8, s: *const u8, n: usize) -> *mut u8 {
    unsafe { asm!("rep movsb", inout("rdi") d => _, inout("rsi") s => _, inout("rcx") n => _) };
    d
}
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(d: *mut u8, s: *const u8, n: usize) -> *mut u8 {
    if (d as usize) < s as usize || d as usize >= s as usize + n {
        return unsafe { memcpy(d, s, n) };
    }
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rdi") d.wrapping_add(n).wrapping_sub(1) => _,
             inout("rsi") s.wrapping_add(n).wrapping_sub(1) => _, inout("rcx") n => _)
    };
    d
}
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(d: *mut u8, c: i32, n: usize) -> *mut u8 {
    unsafe { asm!("rep stosb", inout("rdi") d => _, inout("rcx") n => _, in("al") c as u8) };
    d
}
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for i in 0..n {
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    unsafe { memcmp(a, b, n) }
}
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut n = 0;
    while unsafe { s.add(n).read_volatile() } != 0 {
        n += 1;
    }
    n
}

#[repr(align(4096))]
struct Heap(#[allow(dead_code)] [u8; 1 << 20]);
static mut HEAP: Heap = Heap([0; 1 << 20]);
static NEXT: AtomicUsize = AtomicUsize::new(0);

#[unsafe(no_mangle)]
extern "C" fn malloc(n: usize) -> *mut u8 {
    let at = NEXT.fetch_add((n + 31) & !15, Ordering::Relaxed);
    if at + n > 1 << 20 {
        core::ptr::null_mut()
    } else {
        unsafe { (&raw mut HEAP).cast::<u8>().add(at) }
    }
}
#[unsafe(no_mangle)]
extern "C" fn calloc(a: usize, b: usize) -> *mut u8 {
    malloc(a * b)
}
#[unsafe(no_mangle)]
extern "C" fn posix_memalign(p: *mut *mut u8, _align: usize, n: usize) -> i32 {
    unsafe { *p = malloc(n) };
    0
}
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(p: *mut u8, n: usize) -> *mut u8 {
    let q = malloc(n);
    if !p.is_null() {
        unsafe { memmove(q, p, n) };
    }
    q
}
#[unsafe(no_mangle)]
unsafe extern "C" fn write(_fd: i32, p: *const u8, n: usize) -> isize {
    mirust_rt::diag::console::write(unsafe { core::slice::from_raw_parts(p, n) });
    n as isize
}
#[unsafe(no_mangle)]
extern "C" fn abort() -> ! {
    mirust_rt::diag::fatal(format_args!("abort called"))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_once(once: *mut i32, f: extern "C" fn()) -> i32 {
    if unsafe { *once } == 0 {
        unsafe { *once = 1 };
        f();
    }
    0
}
