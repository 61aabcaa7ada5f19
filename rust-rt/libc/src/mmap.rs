//! C's view of the address space: `mmap` and its kin, by the rules of mmap(2) and mprotect(2).

use core::ffi::c_int;
use core::ptr;

use mirust_mem::paging::Prot;
use mirust_mem::vm::{self, MapError};

use super::errno;

const PROT_READ: c_int = 1;
const PROT_WRITE: c_int = 2;
const PROT_EXEC: c_int = 4;

const MAP_SHARED: c_int = 0x01;
const MAP_PRIVATE: c_int = 0x02;
const MAP_FIXED: c_int = 0x10;
const MAP_ANONYMOUS: c_int = 0x20;
const MAP_32BIT: c_int = 0x40;
const MAP_GROWSDOWN: c_int = 0x100;
const MAP_HUGETLB: c_int = 0x4_0000;
const MAP_FIXED_NOREPLACE: c_int = 0x10_0000;

const MADV_DONTNEED: c_int = 4;
const MADV_REMOVE: c_int = 9;

const MAP_FAILED: *mut u8 = ptr::without_provenance_mut(usize::MAX);

/// The `errno` for an error.
fn code(error: MapError) -> c_int {
    match error {
        MapError::NoMemory | MapError::OutOfRange => errno::ENOMEM,
        MapError::Invalid => errno::EINVAL,
        MapError::Exists => errno::EEXIST,
    }
}

/// 0, or -1 and `errno`.
fn status(result: Result<(), c_int>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(code) => {
            errno::set(code);
            -1
        }
    }
}

/// What a `PROT_` mask asks for. Writing and executing at once is refused with `EACCES`.
fn access(prot: c_int) -> Result<Prot, c_int> {
    if prot & !(PROT_READ | PROT_WRITE | PROT_EXEC) != 0 {
        return Err(errno::EINVAL);
    }
    match (prot & PROT_WRITE != 0, prot & PROT_EXEC != 0) {
        (true, true) => Err(errno::EACCES),
        (true, false) => Ok(Prot::ReadWrite),
        (false, true) => Ok(Prot::ReadExecute),
        (false, false) if prot == PROT_READ => Ok(Prot::Read),
        (false, false) => Ok(Prot::None),
    }
}

/// Fills memory that is full of zeroes with what a file has from an offset on, or says why it cannot be mapped;
/// `shared` is whether later changes are to be seen.
///
/// # Safety
///
/// The bytes at the address are writable, and nobody else's; there are none for a question.
pub(crate) type FillFromFile =
    unsafe fn(fd: c_int, offset: i64, shared: bool, to: *mut u8, len: usize) -> Result<(), c_int>;

/// What mappings of files are made by.
#[cfg_attr(not(feature = "posix"), allow(dead_code))]
pub(crate) struct Files {
    /// A copy.
    pub(crate) fill: FillFromFile,
    /// The address of a file's bytes from an offset on, for a shared mapping, and perhaps to write to; None if a copy
    /// is as good.
    pub(crate) share:
        fn(fd: c_int, offset: i64, len: usize, writes: bool) -> Result<Option<usize>, c_int>,
    /// Ends such a mapping. Whether it was one.
    pub(crate) unshare: fn(at: usize, len: usize) -> bool,
    /// Whether there are such mappings in the range.
    pub(crate) is_shared: fn(at: usize, len: usize) -> bool,
    /// Those in the range may be written to from now on.
    pub(crate) write: fn(at: usize, len: usize),
}

/// Nothing where no file was ever opened: a program without files has no code for them.
static FILES: spin::Once<&Files> = spin::Once::new();

/// Lets files be mapped.
#[cfg_attr(not(feature = "posix"), allow(dead_code))]
pub(crate) fn give_files(files: &'static Files) {
    FILES.call_once(|| files);
}

/// A file's own contents, or a copy if nobody can tell. At a fixed address there are only copies.
///
/// # Safety
///
/// Nobody uses what a fixed mapping replaces.
unsafe fn map_file(
    addr: usize,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> Result<usize, c_int> {
    let Some(Files { fill, share, .. }) = FILES.get() else { return Err(errno::ENODEV) };
    let shared = flags & MAP_SHARED != 0;
    if shared && flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        return Err(errno::ENODEV);
    }
    if prot & PROT_EXEC != 0 {
        return Err(errno::EACCES);
    }
    if len == 0 || offset < 0 || offset % mirust_mem::PAGE_SIZE as i64 != 0 {
        return Err(errno::EINVAL);
    }
    if shared {
        if let Some(at) = share(fd, offset, len, prot & PROT_WRITE != 0)? {
            return Ok(at);
        }
    }
    // SAFETY: a question.
    unsafe { fill(fd, offset, shared, ptr::null_mut(), 0)? };
    // SAFETY: passed on to our caller.
    let at = unsafe { map_anonymous(addr, len, Prot::ReadWrite, flags)? };
    // SAFETY: `len` bytes that were just mapped.
    let filled = unsafe { fill(fd, offset, shared, ptr::with_exposed_provenance_mut(at), len) };
    if let Err(code) = filled {
        // SAFETY: nobody knows of it yet.
        let _ = vm::with(|space| unsafe { space.unmap(at, len) });
        return Err(code);
    }
    Ok(at)
}

/// Maps anonymous memory, full of zeroes and committed at once; with `PROT_NONE` it reserves
/// addresses only. An address that is a mere hint is ignored. A file is copied, which is the same for one that nobody
/// can change and for private mappings; a shared mapping of one that the program writes is the file's own memory.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn mmap(
    addr: *mut u8,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut u8 {
    let mapped = if flags & MAP_ANONYMOUS == 0 && flags & (MAP_SHARED | MAP_PRIVATE) != 0 {
        // SAFETY: the caller gives up what a fixed mapping replaces.
        unsafe { map_file(addr.addr(), len, prot, flags, fd, offset) }
    } else {
        // SAFETY: the caller gives up what a fixed mapping replaces.
        unsafe { try_mmap(addr.addr(), len, prot, flags) }
    };
    match mapped {
        Ok(addr) => ptr::with_exposed_provenance_mut(addr),
        Err(code) => {
            errno::set(code);
            MAP_FAILED
        }
    }
}

unsafe fn try_mmap(addr: usize, len: usize, prot: c_int, flags: c_int) -> Result<usize, c_int> {
    // In one process alone, shared and private are the same.
    if flags & (MAP_SHARED | MAP_PRIVATE) == 0 || flags & (MAP_GROWSDOWN | MAP_32BIT) != 0 {
        return Err(errno::EINVAL);
    }
    if flags & MAP_HUGETLB != 0 {
        return Err(errno::ENOMEM);
    }
    // SAFETY: passed on to our caller.
    unsafe { map_anonymous(addr, len, access(prot)?, flags) }
}

/// Zeroes, or addresses only, where the flags say.
///
/// # Safety
///
/// Nobody uses what a fixed mapping replaces.
unsafe fn map_anonymous(addr: usize, len: usize, prot: Prot, flags: c_int) -> Result<usize, c_int> {
    vm::with(|space| match (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE), prot) {
        (0, Prot::None) => space.reserve(len),
        (0, prot) => space.map(len, prot),
        (fixed, prot) => {
            let replace = fixed & MAP_FIXED_NOREPLACE == 0;
            let prot = (prot != Prot::None).then_some(prot);
            // SAFETY: passed on to our caller.
            unsafe { space.map_fixed(addr, len, prot, replace) }.map(|()| addr)
        }
    })
    .map_err(code)
}

/// [`mmap`], whose offsets have 64 bits anyway.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn mmap64(
    addr: *mut u8,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut u8 {
    // SAFETY: passed on to our caller.
    unsafe { mmap(addr, len, prot, flags, fd, offset) }
}

/// Gives up a range, or parts of one.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn munmap(addr: *mut u8, len: usize) -> c_int {
    #[cfg(feature = "posix")]
    if FILES.get().is_some_and(|files| (files.unshare)(addr.addr(), len)) {
        return 0;
    }
    // SAFETY: the caller gives up the range.
    status(vm::with(|space| unsafe { space.unmap(addr.addr(), len) }).map_err(code))
}

/// Changes what a range allows, and commits what of it was reserved only.
///
/// Writing and executing at once is refused with `EACCES`: a compiler first writes its code, and then makes it
/// executable. Pages of `malloc` must be made writable again before `free`. The memory of a file that is mapped shared
/// stays writable: it has one address, at which `write` and other mappings write too.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn mprotect(addr: *mut u8, len: usize, prot: c_int) -> c_int {
    if len == 0 {
        return 0;
    }
    status(access(prot).and_then(|prot| {
        #[cfg(feature = "posix")]
        if let Some(files) = FILES.get().filter(|files| (files.is_shared)(addr.addr(), len)) {
            return match prot {
                Prot::ReadExecute => Err(errno::EACCES),
                Prot::ReadWrite => {
                    (files.write)(addr.addr(), len);
                    Ok(())
                }
                Prot::None | Prot::Read => Ok(()),
            };
        }
        // SAFETY: the caller does without the access that it takes away.
        vm::with(|space| unsafe { space.protect(addr.addr(), len, prot) }).map_err(code)
    }))
}

/// Takes hints and does nothing about them. What would change contents is refused with `EINVAL`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
pub(crate) extern "C" fn madvise(_addr: *mut u8, _len: usize, advice: c_int) -> c_int {
    match advice {
        MADV_DONTNEED | MADV_REMOVE => status(Err(errno::EINVAL)),
        _ => 0,
    }
}

/// As [`madvise`], for which POSIX has no advice that changes contents. Gives the error.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn posix_madvise(_addr: *mut u8, _len: usize, advice: c_int) -> c_int {
    if (0..=4).contains(&advice) { 0 } else { errno::EINVAL }
}

/// Memory stays where it is: nothing is ever written elsewhere to make room.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn mlock(_addr: *const u8, _len: usize) -> c_int {
    0
}

/// As [`mlock`].
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn munlock(_addr: *const u8, _len: usize) -> c_int {
    0
}

/// There is no segment of data that grows: `ENOMEM`, on which allocators use `mmap`.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn sbrk(_increment: isize) -> *mut u8 {
    errno::set(errno::ENOMEM);
    MAP_FAILED
}

/// Not supported: `ENOSYS`. Allocate, copy and unmap instead.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
extern "C" fn mremap(_addr: *mut u8, _old: usize, _new: usize, _flags: c_int) -> *mut u8 {
    errno::set(errno::ENOSYS);
    MAP_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANON: c_int = MAP_PRIVATE | MAP_ANONYMOUS;
    const RW: c_int = PROT_READ | PROT_WRITE;

    fn mmap_errno(len: usize, prot: c_int, flags: c_int) -> c_int {
        errno::set(0);
        // SAFETY: nothing is replaced, since there is no address space in a test.
        let addr = unsafe { mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
        assert_eq!(addr, MAP_FAILED);
        errno::get()
    }

    #[test]
    fn writable_and_executable_memory_is_refused() {
        assert_eq!(mmap_errno(4096, RW | PROT_EXEC, ANON), errno::EACCES);
        // SAFETY: refused before anything happens.
        assert_eq!(unsafe { mprotect(ptr::null_mut(), 4096, RW | PROT_EXEC) }, -1);
        assert_eq!(errno::get(), errno::EACCES);
    }

    #[test]
    fn unsupported_mappings_have_honest_errors() {
        assert_eq!(mmap_errno(4096, RW, MAP_PRIVATE), errno::ENODEV);
        assert_eq!(mmap_errno(4096, RW, MAP_ANONYMOUS), errno::EINVAL);
        assert_eq!(mmap_errno(4096, 64, ANON), errno::EINVAL);
        assert_eq!(mremap(ptr::null_mut(), 4096, 8192, 1), MAP_FAILED);
        assert_eq!(errno::get(), errno::ENOSYS);
        assert_eq!(madvise(ptr::null_mut(), 4096, MADV_DONTNEED), -1);
        assert_eq!(errno::get(), errno::EINVAL);
    }

    #[test]
    fn advice_of_posix_is_taken_and_changes_nothing() {
        let mut page = [7u8; 64];
        for advice in -1..6 {
            let (ours, at) = (posix_madvise(page.as_mut_ptr(), 64, advice), page.as_mut_ptr());
            // SAFETY: no bytes.
            assert_eq!(ours, unsafe {
                host_libc::posix_madvise(at.map_addr(|a| a & !4095).cast(), 0, advice)
            });
        }
        assert_eq!(page, [7; 64]);
    }

    #[test]
    fn there_is_no_memory_before_boot_hands_it_over() {
        assert_eq!(mmap_errno(4096, RW, ANON), errno::ENOMEM);
    }
}
