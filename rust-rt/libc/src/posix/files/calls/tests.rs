use super::super::super::{block_tests as testing, io};
use super::super::archive_tests::put;
use super::super::changes::*;
use super::super::{directory, mount};
use super::*;
use crate::errno::{EACCES, EBADF, ENOTDIR};
use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Files in this thread's tree.
fn prepare() {
    let mut archive = Vec::new();
    put(&mut archive, "data/a", 0o100_644, 1, b"0123456789");
    put(&mut archive, "data/empty", 0o100_600, 2, b"");
    put(&mut archive, "data/link", 0o120_777, 3, b"a");
    put(&mut archive, "run", 0o100_755, 4, b"#!");
    mount(archive.leak());
    io::close(99);
}

fn c(path: &str) -> CString {
    CString::new(path).unwrap()
}

/// A descriptor, or an error, negative.
fn open_(path: &str, flags: c_int) -> c_int {
    // SAFETY: a C string.
    let fd = unsafe { open64(c(path).as_ptr(), flags, 0) };
    if fd < 0 { -errno::get() } else { fd }
}

fn text(path: &str) -> String {
    let fd = open_(path, 0);
    let mut buf = [0; 100];
    let n = io::read_into(fd, &mut buf).unwrap();
    io::close(fd);
    String::from_utf8(buf[..n].to_vec()).unwrap()
}

#[test]
fn files_are_read_from_where_one_is() {
    prepare();
    let fd = open_("/data/link", 0);
    let mut buf = [0; 4];
    assert_eq!((io::read_into(fd, &mut buf), &buf), (Ok(4), b"0123"));
    // SAFETY: the buffer has four bytes.
    assert_eq!(unsafe { io::pread64(fd, buf.as_mut_ptr().cast(), 4, 8) }, 2);
    assert_eq!((&buf[..2], io::lseek64(fd, 0, 1)), (&b"89"[..], 4));
    assert_eq!((io::lseek64(fd, -1, 2), io::read_into(fd, &mut buf)), (9, Ok(1)));
    assert_eq!((io::read_into(fd, &mut buf), io::lseek64(fd, -1, 0)), (Ok(0), -1));
    assert_eq!((errno::get(), io::lseek64(fd, 100, 0)), (EINVAL, 100));
    assert_eq!(io::read_into(fd, &mut buf), Ok(0));
    assert_eq!(io::write_from(fd, b"x"), Err(Errno(EBADF)));
    assert_eq!((fsync(fd), ftruncate64(fd, 0), errno::get()), (0, -1, EINVAL));
    assert_eq!(io::close(fd), 0);
}

/// The whole of a file that is made when it is opened.
fn whole(path: &str) -> String {
    let fd = open_(path, 0);
    assert!(fd >= 0, "{path}: {fd}");
    let mut buf = vec![0; 4096];
    let n = io::read_into(fd, &mut buf).unwrap();
    assert_eq!(io::read_into(fd, &mut [0]), Ok(0));
    io::close(fd);
    String::from_utf8(buf[..n].to_vec()).unwrap()
}

#[test]
fn the_process_is_one_of_proc_with_the_fields_of_linux() {
    prepare();
    // The process's time is one of the fields.
    testing::stop_clock(1_000_000_000);
    let mut buf = [0u8; 8];
    // SAFETY: a C string, and the buffer.
    let n = unsafe { readlink(c"/proc/self".as_ptr(), buf.as_mut_ptr().cast(), buf.len()) };
    assert_eq!(&buf[..n as usize], b"1");
    let kernels = std::fs::read_to_string("/proc/self/stat").unwrap();
    let numbers = |text: &str| text.rsplit_once(") ").unwrap().1.trim_end().split(' ').count();
    let ours = whole("/proc/self/stat");
    assert_eq!(ours, whole("/proc/1/stat"));
    assert!(ours.starts_with("1 (mirust) R 0 1 1 0 -1 "), "{ours}");
    assert_eq!(numbers(&ours), numbers(&kernels), "{ours}{kernels}");
    let field = |n: usize| ours.split(' ').nth(n - 1).unwrap().parse::<u64>().unwrap();
    let (total, free) = crate::process::memory();
    assert_eq!((field(23), field(24)), (total as u64, ((total - free) / 4096) as u64));
    // Threads; the limit of resident memory: none.
    assert_eq!((field(20), field(25)), (crate::threads::block::living() as u64, u64::MAX));
    assert_eq!(ours, whole("proc/../proc/self/stat"));
}

#[test]
fn memory_and_times_have_lines_that_linux_has() {
    prepare();
    for path in ["/proc/meminfo", "/proc/stat"] {
        let kernels = std::fs::read_to_string(path).unwrap();
        let known: Vec<&str> =
            kernels.lines().filter_map(|l| l.split_whitespace().next()).collect();
        let ours = whole(path);
        for line in ours.lines() {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap();
            assert!(known.contains(&name), "{path} has no {name}");
            assert!(words.next().is_some_and(|n| n.parse::<u64>().is_ok()), "{line}");
        }
    }
    let lines = |path| {
        whole(path).lines().map(|l| l.split(' ').next().unwrap().into()).collect::<Vec<String>>()
    };
    for name in ["MemTotal", "SwapCached", "Active", "Committed_AS", "VmallocChunk"] {
        assert!(
            lines("/proc/meminfo").iter().any(|line| line.trim_end_matches(':') == name),
            "{name}"
        );
    }
    for name in ["cpu", "ctxt", "btime"] {
        assert!(lines("/proc/stat").iter().any(|line| line == name), "{name}");
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    prepare();
    for (path, flags, error) in [
        ("/none", 0, ENOENT),
        ("/none", O_CREAT | 1, EROFS),
        ("/none/none", O_CREAT | 1, ENOENT),
        ("/data/a", 1, EROFS),
        ("/data/a", O_TRUNC, EROFS),
        ("/data/a", O_CREAT | O_EXCL, EEXIST),
        ("/data/a", O_DIRECTORY, ENOTDIR),
        ("/data/a/b", 0, ENOTDIR),
        ("/data/link", O_NOFOLLOW, ELOOP),
        ("/data", 2, EISDIR),
        ("", 0, ENOENT),
    ] {
        assert_eq!(open_(path, flags), -error, "{path} {flags:o}");
    }
    let directory = open_("/data", 0);
    assert_eq!(io::read_into(directory, &mut [0]), Err(Errno(EISDIR)));
    // SAFETY: C strings.
    unsafe {
        assert_eq!(openat64(directory, c"../run".as_ptr(), 0, 0), 4);
        assert_eq!((openat64(4, c"x".as_ptr(), 0, 0), errno::get()), (-1, ENOTDIR));
        assert_eq!((open64(core::ptr::null(), 0, 0), errno::get()), (-1, EFAULT));
        assert_eq!((access(c"/run".as_ptr(), 1), access(c"/data/a".as_ptr(), 4)), (0, 0));
        assert_eq!((access(c"/data/a".as_ptr(), 1), errno::get()), (-1, EACCES));
        assert_eq!((access(c"/data/a".as_ptr(), 2), errno::get()), (-1, EROFS));
        assert_eq!((mkdir(c"/x".as_ptr(), 0), errno::get()), (-1, EROFS));
        assert_eq!((mkdir(c"/data".as_ptr(), 0), errno::get()), (-1, EEXIST));
        assert_eq!((unlink(c"/x".as_ptr()), errno::get()), (-1, ENOENT));
        assert_eq!((utimes(c"/x".as_ptr(), core::ptr::null()), errno::get()), (-1, ENOENT));
        assert_eq!((utimes(c"/run".as_ptr(), core::ptr::null()), errno::get()), (-1, EROFS));
        assert_eq!((fchmod(4, 0o600), errno::get()), (-1, EROFS));
        assert_eq!((fchown(999, 0, 0), errno::get()), (-1, EBADF));
        assert_eq!((rename(c"/run".as_ptr(), c"/x".as_ptr()), errno::get()), (-1, EROFS));
        assert_eq!((unlinkat(directory, c"a".as_ptr(), 0), errno::get()), (-1, EROFS));
        assert_eq!((unlinkat(directory, c"run".as_ptr(), 0), errno::get()), (-1, ENOENT));
        assert_eq!((unlinkat(999, c"a".as_ptr(), 0), errno::get()), (-1, EBADF));
        assert_eq!((mkdirat(directory, c"new".as_ptr(), 0), errno::get()), (-1, EROFS));
        assert_eq!((symlink(c"/x".as_ptr(), c"/run".as_ptr()), errno::get()), (-1, EEXIST));
        assert_eq!((symlink(c"/x".as_ptr(), c"/new".as_ptr()), errno::get()), (-1, EROFS));
        assert_eq!((link(c"/x".as_ptr(), c"/new".as_ptr()), errno::get()), (-1, ENOENT));
        assert_eq!((link(c"/run".as_ptr(), c"/data".as_ptr()), errno::get()), (-1, EEXIST));
        assert_eq!((link(c"/run".as_ptr(), c"/new".as_ptr()), errno::get()), (-1, EROFS));
        assert_eq!((futimens(directory, core::ptr::null()), errno::get()), (-1, EROFS));
    }
}

#[test]
fn stat_in_all_its_forms_says_the_same() {
    prepare();
    let mut stat = Stat::anonymous();
    let mut extended = core::mem::MaybeUninit::<ExtendedStat>::uninit();
    // SAFETY: C strings, and results that are writable.
    unsafe {
        assert_eq!(stat64(c"/data/link".as_ptr(), &raw mut stat), 0);
        assert_eq!((stat.mode, stat.size, stat.times[1].seconds), (0o100_644, 10, 1_700_000_000));
        assert_eq!(lstat64(c"/data/link".as_ptr(), &raw mut stat), 0);
        assert_eq!((stat.mode, stat.size), (0o120_777, 1));
        assert_eq!(stat64(c"/data".as_ptr(), &raw mut stat), 0);
        assert_eq!(stat.mode, 0o040_755);
        let fd = open_("/data/a", 0);
        let flags = AT_EMPTY_PATH;
        assert_eq!(statx(fd, c"".as_ptr(), flags, BASIC, extended.as_mut_ptr()), 0);
        let found = extended.assume_init_ref();
        assert_eq!(
            (found.mode, found.size, found.times[3].seconds),
            (0o100_644, 10, 1_700_000_000)
        );
        assert_eq!(io::fstat64(fd, &raw mut stat), 0);
        assert_eq!((stat.inode, stat.size), (found.inode, 10));
        // How std asks whether there is such a call.
        assert_eq!(statx(0, core::ptr::null(), 0, BASIC, core::ptr::null_mut()), -1);
        assert_eq!(errno::get(), EFAULT);
    }
    assert_eq!(size_of::<ExtendedStat>(), size_of::<host_libc::statx>());
    assert_eq!(
        core::mem::offset_of!(ExtendedStat, times),
        core::mem::offset_of!(host_libc::statx, stx_atime)
    );
}

#[test]
fn directories_are_listed_both_ways() {
    prepare();
    let mut names = vec![];
    // SAFETY: the directory is used until it is closed, and entries until the next call.
    unsafe {
        let directory = directory::opendir(c"/data".as_ptr());
        loop {
            let entry = directory::readdir64(directory);
            if entry.is_null() {
                break;
            }
            let name = entry.cast::<c_char>().add(19);
            names.push(String::from(CStr::from_ptr(name).to_str().unwrap()));
            names.sort();
        }
        assert_eq!(names, [".", "..", "a", "empty", "link"]);
        assert_eq!(directory::closedir(directory), 0);
        assert!(directory::opendir(c"/data/a".as_ptr()).is_null());
    }
    assert_eq!(errno::get(), ENOTDIR);
    let fd = open_("/data", O_DIRECTORY);
    let mut buf = [0u8; 80];
    let mut count = 0;
    loop {
        // SAFETY: the buffer is as long as said.
        match unsafe { directory::read_directory(fd, buf.as_mut_ptr().cast(), buf.len()) }.unwrap()
        {
            0 => break,
            n => {
                let mut at = 0;
                while at < n {
                    at += usize::from(u16::from_ne_bytes([buf[at + 16], buf[at + 17]]));
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 5);
    // SAFETY: the buffer is as long as said.
    let short = unsafe { directory::read_directory(open_("/data", 0), buf.as_mut_ptr().cast(), 8) };
    assert_eq!(short, Err(Errno(EINVAL)));
}

#[test]
fn names_are_resolved_and_the_working_directory_counts() {
    prepare();
    let mut buf = [1 as c_char; 4096];
    // SAFETY: C strings, and buffers that are as long as said.
    unsafe {
        assert_eq!(readlink(c"/data/link".as_ptr(), buf.as_mut_ptr(), 4096), 1);
        assert_eq!(
            (readlink(c"/data/a".as_ptr(), buf.as_mut_ptr(), 9), errno::get()),
            (-1, EINVAL)
        );
        assert_eq!(realpath(c"/data/../data/./link".as_ptr(), buf.as_mut_ptr()), buf.as_mut_ptr());
        assert_eq!(CStr::from_ptr(buf.as_ptr()), c"/data/a");
        let made = realpath(c"run".as_ptr(), core::ptr::null_mut());
        assert_eq!(CStr::from_ptr(made), c"/run");
        host_libc::free(made.cast());
        assert!(realpath(c"/none".as_ptr(), buf.as_mut_ptr()).is_null());
        assert_eq!((chdir(c"/data".as_ptr()), text("a").len()), (0, 10));
        assert_eq!(getcwd(buf.as_mut_ptr(), 6), buf.as_mut_ptr());
        assert_eq!(CStr::from_ptr(buf.as_ptr()), c"/data");
        assert!(getcwd(buf.as_mut_ptr(), 5).is_null());
        for size in [0, 9] {
            let made = getcwd(core::ptr::null_mut(), size);
            assert_eq!(CStr::from_ptr(made), c"/data");
            host_libc::free(made.cast());
        }
        for (to, size, error) in [(core::ptr::null_mut(), 5, ERANGE), (buf.as_mut_ptr(), 0, EINVAL)]
        {
            assert!(getcwd(to, size).is_null());
            assert_eq!(errno::get(), error);
            // As glibc has it.
            assert!(host_libc::getcwd(to, size.min(1)).is_null());
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(error));
        }
        assert!(getcwd(buf.as_mut_ptr(), 5).is_null());
        assert_eq!((errno::get(), chdir(c"a".as_ptr()), chdir(c"/".as_ptr())), (ERANGE, -1, 0));
    }
}

#[test]
fn devices_and_made_files_are_there() {
    prepare();
    assert_eq!(text("/etc/hosts").lines().next(), Some("127.0.0.1 localhost"));
    let mut buf = [7; 8];
    let zero = open_("/dev/zero", 0);
    assert_eq!((io::read_into(zero, &mut buf), buf), (Ok(8), [0; 8]));
    let random = open_("/dev/urandom", 0);
    assert_eq!(io::read_into(random, &mut buf), Ok(8));
    assert_ne!(buf, [0; 8]);
    let null = open_("/dev/null", 2);
    assert_eq!((io::write_from(null, b"gone"), io::read_into(null, &mut buf)), (Ok(4), Ok(0)));
    assert!(super::super::add("app/embedded", b"yes"));
    assert_eq!(text("/app/embedded"), "yes");
    assert!(!super::super::add("run/x", b"") && !super::super::add("../x", b""));
}
