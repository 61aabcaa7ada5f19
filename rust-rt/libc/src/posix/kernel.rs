//! System calls that bypass the C library, by the instruction itself, as rustix makes them, and with it polling,
//! async-io and smol. The image's handler of that instruction calls this.

use super::answer::size;
use super::block;
use super::files::{calls, changes, space};
use super::parts::Errno;
use super::{
    copy, epoll, eventfd, files, identity, io, messages, pipe, poll, select, signalfd, small,
    socket, socket_options, timer, transfer,
};
use crate::stack_signals::Ends;
use crate::timespec::Timespec;
use crate::{basic_calls, errno, mmap};
use core::task::Poll;

/// The C function, whose arguments have the types that the kernel expects.
macro_rules! call {
    ($function:path, $($argument:expr),*) => {
        // SAFETY: the caller's promise is that of `system_call`.
        (unsafe { $function($($argument),*) }) as isize
    };
}

/// Serves the call of this number (asm/unistd_64.h) with these arguments: a result, or an error's number,
/// negative.
///
/// # Safety
///
/// The arguments are what Linux expects for this call: pointers are valid for what the call does with them.
pub unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: as the caller says.
    let result = unsafe {
        served(number, arguments)
            .or_else(|| basic_calls::served(number as _, arguments).map(|result| result as isize))
    };
    let result = result.unwrap_or_else(|| basic_calls::unserved(number as _) as isize);
    if result == -1 { -(errno::get() as isize) } else { result }
}

/// The same by the C library's rules: -1 and `errno` for an error. Nothing for a call that is not among those here.
///
/// # Safety
///
/// As [`system_call`].
pub(crate) unsafe fn served(number: usize, arguments: [usize; 6]) -> Option<isize> {
    // SAFETY: as the caller says.
    unsafe {
        descriptors(number, arguments)
            .or_else(|| events(number, arguments))
            .or_else(|| sockets(number, arguments))
            .or_else(|| paths(number, arguments))
            .or_else(|| process(number, arguments))
    }
}

/// Calls on every kind of descriptor, and on open files.
///
/// # Safety
///
/// As [`system_call`].
#[allow(unused_unsafe)] // some of the functions are safe
unsafe fn descriptors(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> Option<isize> {
    let fd = a as i32;
    Some(match number {
        0 => call!(io::read, fd, b as _, c),
        1 => call!(io::write, fd, b as _, c),
        3 => call!(io::close, fd),
        5 => call!(io::fstat64, fd, b as _),
        8 => call!(io::lseek64, fd, b as _, c as _),
        16 => call!(io::ioctl, fd, b as _, c as _),
        17 => call!(io::pread64, fd, b as _, c, d as _),
        18 => call!(io::pwrite64, fd, b as _, c, d as _),
        19 => call!(io::readv, fd, b as _, c as _),
        20 => call!(io::writev, fd, b as _, c as _),
        32 => call!(io::dup, fd),
        33 => call!(io::dup2, fd, b as _),
        40 => call!(copy::sendfile64, fd, b as _, c as _, d),
        72 => call!(io::fcntl, fd, b as _, c as _),
        73 => call!(changes::flock, fd, b as _),
        74 => call!(changes::fsync, fd),
        75 => call!(changes::fdatasync, fd),
        77 => call!(changes::ftruncate64, fd, b as _),
        91 => call!(changes::fchmod, fd, b as _),
        93 => call!(changes::fchown, fd, b as _, c as _),
        275 => call!(copy::splice, fd, b as _, c as _, d as _, 0, 0),
        326 => call!(copy::copy_file_range, fd, b as _, c as _, d as _, e, f as _),
        162 => {
            small::sync();
            0
        }
        188..=199 => errno::fail(errno::EOPNOTSUPP) as isize, // extended attributes
        // The C function returns the error; the system call is as others are.
        221 => match small::posix_fadvise(fd, b as _, c as _, d as _) {
            0 => 0,
            error => errno::fail(error) as isize,
        },
        187 => call!(small::readahead, fd, b as _, c),
        306 => call!(small::syncfs, fd),
        319 => call!(files::nameless::memfd_create, a as _, b as _),
        285 => call!(changes::fallocate64, fd, b as _, c as _, d as _),
        292 => call!(io::dup3, fd, b as _, c as _),
        295 => call!(io::preadv64, fd, b as _, c as _, d as _),
        296 => call!(io::pwritev64, fd, b as _, c as _, d as _),
        327 => call!(small::preadv2, fd, b as _, c as _, d as _, f as _),
        328 => call!(small::pwritev2, fd, b as _, c as _, d as _, f as _),
        _ => return None,
    })
}

/// `poll` and `epoll`, and the descriptors made for them: pipes, `eventfd`, `timerfd`.
///
/// # Safety
///
/// As [`system_call`].
#[allow(unused_unsafe)] // some of the functions are safe
unsafe fn events(number: usize, [a, b, c, d, e, _]: [usize; 6]) -> Option<isize> {
    let fd = a as i32;
    Some(match number {
        23 => call!(select::select, fd, b as _, c as _, d as _, e as _),
        7 => call!(poll::poll, a as _, b as _, c as _),
        22 => call!(pipe::pipe, a as _),
        213 => call!(epoll::epoll_create, fd),
        232 => call!(epoll::epoll_wait, fd, b as _, c as _, d as _),
        233 => call!(epoll::epoll_ctl, fd, b as _, c as _, d as _),
        271 => call!(poll::ppoll, a as _, b as _, c as _, d as _),
        281 => call!(epoll::epoll_pwait, fd, b as _, c as _, d as _, e as _),
        283 => call!(timer::timerfd_create, fd, b as _),
        284 => call!(eventfd::eventfd, a as _, 0),
        286 => call!(timer::timerfd_settime, fd, b as _, c as _, d as _),
        287 => call!(timer::timerfd_gettime, fd, b as _),
        282 => call!(signalfd::signalfd, fd, b as _, 0),
        289 => call!(signalfd::signalfd, fd, b as _, d as _),
        290 => call!(eventfd::eventfd, a as _, b as _),
        291 => call!(epoll::epoll_create1, fd),
        293 => call!(pipe::pipe2, a as _, b as _),
        441 => call!(epoll::epoll_pwait2, fd, b as _, c as _, d as _, e as _),
        _ => return None,
    })
}

/// Calls on sockets.
///
/// # Safety
///
/// As [`system_call`].
#[allow(unused_unsafe)] // some of the functions are safe
unsafe fn sockets(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> Option<isize> {
    let fd = a as i32;
    Some(match number {
        41 => call!(socket::socket, fd, b as _, c as _),
        42 => call!(socket::connect, fd, b as _, c as _),
        43 => call!(socket::accept, fd, b as _, c as _),
        44 => call!(transfer::sendto, fd, b as _, c, d as _, e as _, f as _),
        45 => call!(transfer::recvfrom, fd, b as _, c, d as _, e as _, f as _),
        46 => call!(transfer::sendmsg, fd, b as _, c as _),
        47 => call!(transfer::recvmsg, fd, b as _, c as _),
        48 => call!(socket::shutdown, fd, b as _),
        49 => call!(socket::bind, fd, b as _, c as _),
        50 => call!(socket::listen, fd, b as _),
        51 => call!(socket::getsockname, fd, b as _, c as _),
        52 => call!(socket::getpeername, fd, b as _, c as _),
        53 => call!(socket::socketpair, fd, b as _, c as _, d as _),
        54 => call!(socket_options::setsockopt, fd, b as _, c as _, d as _, e as _),
        55 => call!(socket_options::getsockopt, fd, b as _, c as _, d as _, e as _),
        299 => call!(messages::recvmmsg, fd, b as _, c as _, d as _, e as _),
        307 => call!(messages::sendmmsg, fd, b as _, c as _, d as _),
        288 => call!(socket::accept4, fd, b as _, c as _, d as _),
        _ => return None,
    })
}

/// Calls with a path, and on directories.
///
/// # Safety
///
/// As [`system_call`].
#[allow(unused_unsafe)] // some of the functions are safe
unsafe fn paths(number: usize, [a, b, c, d, e, _]: [usize; 6]) -> Option<isize> {
    let fd = a as i32;
    Some(match number {
        2 => call!(calls::open64, a as _, b as _, c as _),
        4 => call!(calls::stat64, a as _, b as _),
        6 => call!(calls::lstat64, a as _, b as _),
        21 => call!(calls::access, a as _, b as _),
        // Unlike the C function, the system call returns a length, and makes no buffer.
        79 if a == 0 || b == 0 => {
            errno::fail(if b == 0 { errno::ERANGE } else { errno::EFAULT }) as isize
        }
        79 => match call!(calls::getcwd, a as _, b) {
            0 => -1,
            // SAFETY: the path has just been written there.
            _ => unsafe { core::ffi::CStr::from_ptr(a as _) }.count_bytes() as isize + 1,
        },
        80 => call!(calls::chdir, a as _),
        81 => call!(calls::fchdir, fd),
        76 => call!(changes::truncate64, a as _, b as _),
        82 => call!(changes::rename, a as _, b as _),
        83 => call!(changes::mkdir, a as _, b as _),
        84 => call!(changes::rmdir, a as _),
        86 => call!(changes::link, a as _, b as _),
        87 => call!(changes::unlink, a as _),
        88 => call!(changes::symlink, a as _, b as _),
        90 => call!(changes::chmod, a as _, b as _),
        95 => call!(changes::umask, a as _),
        89 => call!(calls::readlink, a as _, b as _, c),
        137 => call!(space::statfs, a as _, b as _),
        138 => call!(space::fstatfs, fd, b as _),
        // SAFETY: as the caller says.
        217 => size(unsafe { files::directory::read_directory(fd, b as _, c) }),
        257 => call!(calls::openat64, fd, b as _, c as _, d as _),
        258 => call!(changes::mkdirat, fd, b as _, c as _),
        260 => call!(changes::fchownat, fd, b as _, c as _, d as _, e as _),
        262 => call!(calls::fstatat64, fd, b as _, c as _, d as _),
        263 => call!(changes::unlinkat, fd, b as _, c as _),
        264 => call!(changes::renameat, fd, b as _, c as _, d as _),
        265 => call!(changes::linkat, fd, b as _, c as _, d as _, e as _),
        266 => call!(changes::symlinkat, a as _, b as _, c as _),
        268 => call!(changes::fchmodat, fd, b as _, c as _, 0),
        267 => call!(calls::readlinkat, fd, b as _, c as _, d),
        269 => call!(calls::faccessat, fd, b as _, c as _, 0),
        // This is what `futimens` calls.
        280 if b == 0 && fd != files::lookup::AT_FDCWD && d == 0 => {
            call!(changes::futimens, fd, c as _)
        }
        280 => call!(changes::utimensat, fd, b as _, c as _, d as _),
        316 => call!(changes::renameat2, fd, b as _, c as _, d as _, e as _),
        332 => call!(calls::statx, fd, b as _, c as _, d as _, e as _),
        439 => call!(calls::faccessat, fd, b as _, c as _, d as _),
        _ => return None,
    })
}

/// The process itself, and the clock.
///
/// # Safety
///
/// As [`system_call`].
#[allow(unused_unsafe)] // some of the functions are safe
unsafe fn process(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> Option<isize> {
    let fd = a as i32;
    Some(match number {
        9 => call!(mmap::mmap, a as _, b, c as _, d as _, e as _, f as _),
        10 => call!(mmap::mprotect, a as _, b, c as _),
        11 => call!(mmap::munmap, a as _, b),
        24 => call!(crate::process::sched_yield,),
        28 => call!(mmap::madvise, a as _, b, c as _),
        35 => call!(sleep, 1, 0, a as _, b as _),
        39 => call!(crate::process::getpid,),
        62 => call!(crate::signal::kill, fd, b as _),
        63 => call!(identity::uname, a as _),
        97 => call!(identity::getrlimit, fd, b as _),
        99 => call!(crate::process::sysinfo, a as _),
        110 => call!(crate::process::getppid,),
        115 => call!(identity::getgroups, fd, b as _),
        121 => call!(identity::getpgid, fd),
        124 => call!(identity::getsid, fd),
        // Unlike the C function, the system call says how many bytes it has filled.
        204 => match call!(crate::process::sched_getaffinity, fd, b, c as _) {
            0 => b.min(8) as isize,
            error => error,
        },
        157 => call!(crate::process::prctl, fd),
        230 => call!(sleep, fd, b as _, c as _, d as _),
        229 => call!(crate::time::clock_getres, fd, b as _),
        309 => call!(processor, a as _, b as _),
        302 => call!(identity::prlimit64, fd, b as _, c as _, d as _),
        102 | 104 | 107 | 108 => 0, // the numbers of user and group
        228 => call!(crate::time::clock_gettime, fd, b as _),
        _ => return None,
    })
}

/// `getcpu`: processor 0 of node 0.
///
/// # Safety
///
/// Each is NULL or writable.
unsafe fn processor(number: *mut u32, node: *mut u32) -> i32 {
    for to in [number, node].into_iter().filter(|to| !to.is_null()) {
        // SAFETY: as the caller says.
        unsafe { to.write(0) };
    }
    0
}

/// `clock_nanosleep`, but for its answer. (The C function is a part of what makes an image one with threads.)
///
/// # Safety
///
/// As for the C function.
unsafe fn sleep(clock: i32, flags: i32, time: *const Timespec, left: *mut Timespec) -> i32 {
    const ABSOLUTE: i32 = 1;
    if time.is_null() {
        return errno::fail(errno::EFAULT);
    }
    // SAFETY: readable by contract.
    let Some(ns) = (unsafe { (*time).ns() }) else { return errno::fail(errno::EINVAL) };
    let deadline = match (flags & ABSOLUTE != 0, clock) {
        (false, 0..=7) => block::after(ns),
        (true, 0 | 5) => {
            block::now().saturating_add(ns.saturating_sub((crate::host::get().wall_ns)()))
        }
        (true, 1..=7) => ns,
        _ => return errno::fail(errno::EINVAL),
    };
    let slept = block::until(deadline, Some(Ends::Always), |_| Poll::<()>::Pending);
    if !left.is_null() && flags & ABSOLUTE == 0 {
        // SAFETY: writable by contract.
        unsafe { *left = Timespec::from_ns(deadline.saturating_sub(block::now())) };
    }
    match slept {
        Ok(_) => 0,
        Err(Errno(error)) => errno::fail(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::block_tests;
    use super::*;

    /// The numbers above, by those of the host's header.
    #[test]
    fn numbers_are_those_of_the_host() {
        let source = include_str!("kernel.rs");
        for (name, number) in [
            ("io::read,", host_libc::SYS_read),
            ("io::lseek64", host_libc::SYS_lseek),
            ("io::writev", host_libc::SYS_writev),
            ("transfer::sendto", host_libc::SYS_sendto),
            ("socket::accept4", host_libc::SYS_accept4),
            ("socket_options::getsockopt", host_libc::SYS_getsockopt),
            ("io::fcntl", host_libc::SYS_fcntl),
            ("files::nameless::memfd_create", host_libc::SYS_memfd_create),
            ("epoll::epoll_ctl", host_libc::SYS_epoll_ctl),
            ("epoll::epoll_wait", host_libc::SYS_epoll_wait),
            ("epoll::epoll_pwait,", host_libc::SYS_epoll_pwait),
            ("epoll::epoll_pwait2", host_libc::SYS_epoll_pwait2),
            ("calls::openat64", host_libc::SYS_openat),
            ("calls::fstatat64", host_libc::SYS_newfstatat),
            ("changes::rename,", host_libc::SYS_rename),
            ("changes::rmdir", host_libc::SYS_rmdir),
            ("changes::mkdirat", host_libc::SYS_mkdirat),
            ("changes::unlinkat", host_libc::SYS_unlinkat),
            ("changes::renameat,", host_libc::SYS_renameat),
            ("changes::linkat", host_libc::SYS_linkat),
            ("changes::symlinkat", host_libc::SYS_symlinkat),
            ("calls::readlinkat", host_libc::SYS_readlinkat),
            ("calls::statx", host_libc::SYS_statx),
            ("poll::ppoll", host_libc::SYS_ppoll),
            ("timer::timerfd_create", host_libc::SYS_timerfd_create),
            ("timer::timerfd_settime", host_libc::SYS_timerfd_settime),
            ("pipe::pipe2", host_libc::SYS_pipe2),
            ("io::dup3", host_libc::SYS_dup3),
            ("socket::socketpair", host_libc::SYS_socketpair),
            ("identity::uname", host_libc::SYS_uname),
            ("mmap::mmap", host_libc::SYS_mmap),
            ("mmap::mprotect", host_libc::SYS_mprotect),
            ("mmap::munmap", host_libc::SYS_munmap),
            ("mmap::madvise", host_libc::SYS_madvise),
            ("crate::process::sched_yield", host_libc::SYS_sched_yield),
            ("crate::process::getpid", host_libc::SYS_getpid),
            ("crate::process::getppid", host_libc::SYS_getppid),
            ("crate::process::sysinfo", host_libc::SYS_sysinfo),
            ("crate::signal::kill", host_libc::SYS_kill),
            ("crate::time::clock_getres", host_libc::SYS_clock_getres),
            ("identity::getgroups", host_libc::SYS_getgroups),
            ("identity::getpgid", host_libc::SYS_getpgid),
            ("identity::getsid", host_libc::SYS_getsid),
            ("identity::prlimit64", host_libc::SYS_prlimit64),
            ("select::select", host_libc::SYS_select),
            ("small::syncfs", host_libc::SYS_syncfs),
            ("io::preadv64", host_libc::SYS_preadv),
            ("copy::sendfile64", host_libc::SYS_sendfile),
            ("io::pwritev64", host_libc::SYS_pwritev),
            ("copy::splice", host_libc::SYS_splice),
            ("messages::recvmmsg", host_libc::SYS_recvmmsg),
            ("messages::sendmmsg", host_libc::SYS_sendmmsg),
            ("copy::copy_file_range", host_libc::SYS_copy_file_range),
            ("changes::renameat2", host_libc::SYS_renameat2),
            ("changes::fallocate64", host_libc::SYS_fallocate),
            ("changes::flock", host_libc::SYS_flock),
            ("changes::utimensat", host_libc::SYS_utimensat),
            ("changes::fchmodat", host_libc::SYS_fchmodat),
            ("changes::fchownat", host_libc::SYS_fchownat),
            ("changes::fchmod,", host_libc::SYS_fchmod),
            ("space::statfs", host_libc::SYS_statfs),
            ("space::fstatfs", host_libc::SYS_fstatfs),
            ("changes::umask", host_libc::SYS_umask),
        ] {
            let line = alloc::format!("        {number} => call!({name}");
            assert!(source.contains(&line), "{line}");
        }
    }

    #[test]
    fn a_sleep_ends_when_it_is_to() {
        block_tests::give_busy();
        let at = |time: &mut Timespec| (&raw mut *time).expose_provenance();
        let (mut time, mut left) = (Timespec::from_ns(3_000_000), Timespec::from_ns(7));
        let start = block::now();
        // SAFETY: the times are readable and writable, here and below.
        assert_eq!(unsafe { system_call(35, [at(&mut time), at(&mut left), 0, 0, 0, 0]) }, 0);
        assert!(block::now() - start >= 3_000_000);
        assert_eq!(left.ns(), Some(0));
        let mut until = Timespec::from_ns(block::now() + 3_000_000);
        let end = until.ns();
        // SAFETY: as above.
        assert_eq!(unsafe { system_call(230, [1, 1, at(&mut until), 0, 0, 0]) }, 0);
        assert!(Some(block::now()) >= end);
        let mut wrong = Timespec::from_ns(0);
        wrong.nanoseconds = 1_000_000_000;
        // SAFETY: as above.
        let refused = unsafe { system_call(35, [at(&mut wrong), 0, 0, 0, 0, 0]) };
        assert_eq!(refused, -(errno::EINVAL as isize));
    }

    #[test]
    fn results_and_errors_are_the_kernels_way() {
        let flags = super::super::O_NONBLOCK as usize;
        // SAFETY: no pointers, or good ones, here and below.
        let fd = unsafe { system_call(290, [5, flags, 0, 0, 0, 0]) };
        assert!(fd > 2);
        let mut word = [0u8; 8];
        let at = word.as_mut_ptr().expose_provenance();
        // SAFETY: as above.
        let read = |n| unsafe { system_call(0, [fd as usize, at, n, 0, 0, 0]) };
        assert_eq!((read(8), read(8), read(7)), (8, -(errno::EAGAIN as isize), -22));
        assert_eq!(u64::from_ne_bytes(word), 5);
        // SAFETY: as above.
        unsafe {
            // By the C function the same calls, and the C library's errors.
            let c = |n, a, b| crate::syscall::syscall(n, a, b, 8, 0, 0, 0);
            assert_eq!((c(0, fd as usize, at), errno::get()), (-1, errno::EAGAIN));
            assert_eq!(
                (c(309, at, 0), word),
                (0, [0, 0, 0, 0, word[4], word[5], word[6], word[7]])
            );
            assert_eq!((c(57, 0, 0), errno::get()), (-1, errno::ENOSYS));
            assert_eq!((c(221, usize::MAX, 0), errno::get()), (-1, errno::EBADF));
            assert_eq!(system_call(221, [usize::MAX, 0, 0, 0, 0, 0]), -(errno::EBADF as isize));
            let mut path = [0u8; 8];
            let at = path.as_mut_ptr().expose_provenance();
            assert_eq!(system_call(79, [at, 8, 0, 0, 0, 0]), 2);
            assert_eq!(system_call(79, [at, 1, 0, 0, 0, 0]), -(errno::ERANGE as isize));
            assert_eq!(system_call(79, [0, 8, 0, 0, 0, 0]), -(errno::EFAULT as isize));
            assert_eq!(system_call(57, [0; 6]), -(errno::ENOSYS as isize));
        }
    }
}
