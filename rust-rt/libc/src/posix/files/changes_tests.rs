//! The same changes here and on the host's file system, and what differs: what the program did not make is read-only.

use super::super::super::memory::{For, used};
use super::super::super::{copy, io};
use super::super::archive_tests::put;
use super::super::calls::{lstat64, open64, readlink};
use super::super::root;
use super::super::{directory, mount};
use super::*;
use crate::errno;
use crate::layout::Stat;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::c_void;
use host_libc as host;

/// A file system: ours, or a directory of the host's.
struct Files {
    kernel: bool,
    root: String,
}

/// Calls one of the two functions; an error is its number, negative.
macro_rules! either {
    ($self:ident, $ours:expr, $kernels:expr) => {{
        // SAFETY: paths are C strings, and buffers as long as is said.
        let (result, errno) = unsafe {
            if $self.kernel {
                ($kernels as i64, *host::__errno_location())
            } else {
                ($ours as i64, errno::get())
            }
        };
        if result < 0 { -i64::from(errno) } else { result }
    }};
}

const RW: c_int = 2;
const CREATE: c_int = 0o100 | RW;

impl Files {
    fn path(&self, path: &str) -> CString {
        CString::new(format!("{}/{path}", self.root)).unwrap()
    }

    fn open(&self, path: &str, flags: c_int) -> c_int {
        let path = self.path(path);
        let at = path.as_ptr();
        either!(self, open64(at, flags, 0o640), host::open(at, flags, 0o640)) as c_int
    }

    /// Makes a file with these contents.
    fn put(&self, path: &str, text: &str) -> i64 {
        let fd = self.open(path, CREATE);
        if fd < 0 { fd.into() } else { self.write(fd, text) + self.close(fd) }
    }

    fn close(&self, fd: c_int) -> i64 {
        either!(self, io::close(fd), host::close(fd))
    }

    fn write(&self, fd: c_int, text: &str) -> i64 {
        let (at, n) = (text.as_ptr().cast::<c_void>(), text.len());
        either!(self, io::write(fd, at, n), host::write(fd, at.cast(), n))
    }

    fn write_at(&self, fd: c_int, text: &str, offset: i64) -> i64 {
        let (at, n) = (text.as_ptr().cast::<c_void>(), text.len());
        either!(self, io::pwrite64(fd, at, n, offset), host::pwrite64(fd, at.cast(), n, offset))
    }

    fn seek(&self, fd: c_int, offset: i64, whence: c_int) -> i64 {
        either!(self, io::lseek64(fd, offset, whence), host::lseek64(fd, offset, whence))
    }

    /// The contents, or an error.
    fn text(&self, path: &str) -> core::result::Result<Vec<u8>, i64> {
        let fd = self.open(path, 0);
        if fd < 0 {
            return Err(fd.into());
        }
        let mut buf = vec![0u8; 100];
        let (at, n) = (buf.as_mut_ptr().cast::<c_void>(), buf.len());
        let n = either!(self, io::read(fd, at, n), host::read(fd, at.cast(), n));
        self.close(fd);
        if n < 0 {
            return Err(n);
        }
        buf.truncate(n as usize);
        Ok(buf)
    }

    /// Mode, links and, but for directories, the size.
    fn stat(&self, path: &str) -> [i64; 3] {
        self.whole_stat(path).map_or_else(
            |error| [error, 0, 0],
            |stat| {
                let is_directory = stat.mode & 0o170_000 == DIRECTORY;
                [stat.mode.into(), stat.links as i64, if is_directory { 0 } else { stat.size }]
            },
        )
    }

    fn whole_stat(&self, path: &str) -> core::result::Result<Stat, i64> {
        let path = self.path(path);
        let mut stat = Stat::anonymous();
        let at = &raw mut stat;
        let result =
            either!(self, lstat64(path.as_ptr(), at), host::lstat64(path.as_ptr(), at.cast()));
        if result < 0 { Err(result) } else { Ok(stat) }
    }

    /// Seconds since 1970.
    fn modified(&self, path: &str) -> i64 {
        self.whole_stat(path).unwrap().times[1].seconds
    }

    fn names(&self, path: &str) -> Vec<String> {
        let path = self.path(path);
        let mut names = vec![];
        // SAFETY: the directory is used until it is closed, and entries until the next call; they are alike.
        unsafe {
            let ours =
                if self.kernel { core::ptr::null_mut() } else { directory::opendir(path.as_ptr()) };
            let theirs = if self.kernel { host::opendir(path.as_ptr()) } else { ours.cast() };
            if theirs.is_null() {
                return names;
            }
            loop {
                let entry = if self.kernel {
                    host::readdir64(theirs).cast_const().cast::<c_char>()
                } else {
                    directory::readdir64(ours).cast::<c_char>()
                };
                if entry.is_null() {
                    break;
                }
                let name = core::ffi::CStr::from_ptr(entry.add(19));
                names.push(String::from(name.to_str().unwrap()));
            }
            if self.kernel {
                host::closedir(theirs)
            } else {
                directory::closedir(ours)
            };
        }
        names.sort();
        names
    }
}

/// Calls with one path.
macro_rules! one {
    ($($name:ident($($argument:ident: $type:ty),*) => $ours:ident, $kernels:ident;)*) => {impl Files {$(
        fn $name(&self, path: &str $(, $argument: $type)*) -> i64 {
            let path = self.path(path);
            let at = path.as_ptr();
            either!(self, $ours(at $(, $argument)*), host::$kernels(at $(, $argument)*))
        }
    )*}};
}

one! {
    mkdir(mode: c_uint) => mkdir, mkdir;
    rmdir() => rmdir, rmdir;
    unlink() => unlink, unlink;
    chmod(mode: c_uint) => chmod, chmod;
    truncate(len: i64) => truncate64, truncate64;
}

/// Calls with two.
macro_rules! two {
    ($($name:ident)*) => {impl Files {$(
        fn $name(&self, from: &str, to: &str) -> i64 {
            let (from, to) = (self.path(from), self.path(to));
            let (from, to) = (from.as_ptr(), to.as_ptr());
            either!(self, $name(from, to), host::$name(from, to))
        }
    )*}};
}

two! {
    rename
    link
}

impl Files {
    fn symlink(&self, target: &str, path: &str) -> i64 {
        let (target, path) = (CString::new(target).unwrap(), self.path(path));
        let (target, path) = (target.as_ptr(), path.as_ptr());
        either!(self, symlink(target, path), host::symlink(target, path))
    }
}

/// Runs `f` with an empty directory here and with one of the host, and compares what it returns.
fn same<R: core::fmt::Debug + PartialEq>(name: &str, f: impl Fn(&Files) -> R) {
    let own = Files { kernel: false, root: "/tmp/own".into() };
    let before = used(For::Files);
    assert_eq!(own.mkdir("", 0o755), 0);
    let ours = f(&own);
    let path = std::env::temp_dir()
        .canonicalize()
        .unwrap()
        .join(format!("mirust-{name}-{}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    let kernels = f(&Files { kernel: true, root: path.to_str().unwrap().into() });
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(ours, kernels, "ours, and the kernel's");
    // Whatever is left behind, its memory is given back when it is removed.
    root::get().unwrap().put_temporary(b"tmp/other", 0o755).unwrap();
    let tree = root::get().unwrap();
    let tmp = tree.find(&Vec::new(), b"/tmp", true).unwrap().node.unwrap();
    if let Kind::Directory(directory) = &tmp.kind {
        directory.own.borrow_mut().clear();
    }
    assert_eq!(used(For::Files), before);
}

#[test]
fn files_are_made_written_and_read() {
    same("files", |f| {
        let fd = f.open("a", CREATE);
        let mut log = vec![f.write(fd, "hello, world"), f.seek(fd, 7, 0), f.write(fd, "there")];
        log.extend([f.write_at(fd, "J", 0), f.seek(fd, 0, 1), f.write_at(fd, "x", -1)]);
        log.extend([f.seek(fd, 5000, 0), f.write(fd, "far"), f.seek(fd, 0, 2), f.close(fd)]);
        let size = f.stat("a");
        log.extend([f.truncate("a", 12), f.truncate("a", 14), f.truncate("a", -1)]);
        let text = f.text("a");
        // Appended, whatever the offset; read only; not by two.
        let fd = f.open("a", 0o2000 | RW);
        log.extend([f.seek(fd, 0, 0), f.write(fd, "!"), f.seek(fd, 0, 1), f.close(fd)]);
        let fd = f.open("a", 0);
        log.extend([f.write(fd, "x"), f.write_at(fd, "x", 0), f.close(fd)]);
        let fd = f.open("a", 1);
        log.extend([f.write(fd, "Y"), f.close(fd)]);
        for (path, flags) in [
            ("a", CREATE | 0o200),
            ("a/b", CREATE),
            ("none/b", CREATE),
            ("b/", CREATE),
            ("none", 0),
            ("none", RW),
        ] {
            log.push(f.open(path, flags).into());
        }
        let appended = f.text("a");
        let fd = f.open("a", 0o1000 | RW);
        log.extend([f.close(fd)]);
        (log, size, text, appended, f.stat("a"), f.names(""))
    });
}

#[test]
fn names_come_and_go() {
    same("names", |f| {
        let mut log = vec![f.mkdir("d", 0o700), f.mkdir("d", 0o700), f.mkdir("none/d", 0o700)];
        log.extend([f.put("d/one", "1"), f.put("two", "22"), f.mkdir("d/e/", 0o777)]);
        let stats = [f.stat("d"), f.stat("d/e"), f.stat("d/one")];
        log.extend([
            f.rmdir("d"),
            f.unlink("d"),
            f.rmdir("two"),
            f.unlink("none"),
            f.rmdir("none"),
        ]);
        log.extend([f.link("two", "d/two"), f.link("two", "d/one"), f.link("d", "x")]);
        log.extend([f.link("none", "x")]);
        let linked = f.stat("two");
        log.extend([f.unlink("two"), f.stat("d/two")[1]]);
        log.extend([f.symlink("one", "d/soft"), f.symlink("one", "d/soft"), f.symlink("", "x")]);
        let soft = (f.text("d/soft"), f.stat("d/soft"));
        let fd = f.open("d/two", RW);
        log.extend([f.unlink("d/two"), f.write(fd, "still"), f.seek(fd, 0, 2), f.close(fd)]);
        log.extend([f.chmod("d/one", 0o604), f.chmod("none", 0)]);
        (log, stats, linked, soft, f.stat("d/one"), f.names("d"), f.names(""))
    });
}

#[test]
fn renaming_replaces_only_its_like() {
    same("rename", |f| {
        let mut log = vec![f.put("a", "A"), f.put("b", "B"), f.mkdir("d", 0o755)];
        log.extend([f.mkdir("d/e", 0o755), f.mkdir("full", 0o755), f.put("full/x", "X")]);
        log.extend([f.rename("a", "b"), f.rename("a", "c"), f.rename("b", "d/e/b")]);
        log.extend([f.rename("d", "d/e/f"), f.rename("d", "d/f"), f.rename("d", "d")]);
        log.extend([f.rename("d", "full"), f.rename("full/x", "d"), f.rename("d", "full/x")]);
        log.extend([f.rename("full", "d/full"), f.stat("d")[1], f.stat("")[1]]);
        log.extend([
            f.link("d/e/b", "same"),
            f.rename("same", "d/e/b"),
            f.rename("d/full/", "up/"),
        ]);
        log.extend([f.put("up/y", "Y"), f.mkdir("empty", 0o755), f.rename("empty", "d/e")]);
        log.extend([f.rename("empty", "new"), f.rename("up", "new"), f.rename("none", "new")]);
        let texts = [f.text("d/e/b"), f.text("new/x"), f.text("new/y"), f.text("b")];
        (log, texts, f.names(""), f.names("d"), f.stat(""), f.stat("d"))
    });
}

#[test]
fn what_the_program_did_not_make_stays() {
    let mut archive = Vec::new();
    put(&mut archive, "data/a", 0o100_644, 1, b"A");
    put(&mut archive, "tmp/brought", 0o100_644, 2, b"B");
    mount(archive.leak());
    let f = Files { kernel: false, root: String::new() };
    let rofs = -i64::from(EROFS);
    assert_eq!([f.put("data/b", ""), f.mkdir("x", 0), f.unlink("data/a")], [rofs; 3]);
    assert_eq!([f.chmod("data/a", 0), f.rename("data/a", "data/b"), f.rmdir("tmp")], [rofs; 3]);
    assert_eq!([f.unlink("tmp/brought"), f.put("tmp/brought", ""), f.symlink("x", "y")], [rofs; 3]);
    assert_eq!(f.put("tmp/new", "text"), 4);
    let apart = -i64::from(EXDEV);
    assert_eq!([f.rename("tmp/new", "data/new"), f.link("tmp/new", "data/new")], [apart; 2]);
    assert_eq!([f.rename("data/a", "tmp/a"), f.link("data/a", "tmp/a")], [apart; 2]);
    assert_eq!(f.symlink("/data/a", "tmp/soft"), 0);
    let mut target = [0; 16];
    // SAFETY: a C string, and a buffer that is as long as said.
    assert_eq!(unsafe { readlink(c"/tmp/soft".as_ptr(), target.as_mut_ptr(), 16) }, 7);
    assert_eq!((f.text("tmp/soft"), f.text("tmp/brought")), (Ok(b"A".into()), Ok(b"B".into())));
}

#[test]
fn times_locks_and_memory_ahead_of_time() {
    let f = Files { kernel: false, root: "/tmp".into() };
    let fd = f.open("a", CREATE);
    let times = [Timespec { seconds: 5, nanoseconds: 6 }; 2];
    // SAFETY: two times.
    assert_eq!(unsafe { futimens(fd, &raw const times) }, 0);
    assert_eq!(f.modified("a"), 5);
    let omitted = [Timespec { seconds: 9, nanoseconds: (1 << 30) - 2 }; 2];
    // SAFETY: a C string, and two times.
    assert_eq!(unsafe { utimensat(-100, c"/tmp/a".as_ptr(), &raw const omitted, 0) }, 0);
    // SAFETY: as above, with microseconds.
    assert_eq!((f.modified("a"), unsafe { utimes(c"/tmp/a".as_ptr(), &raw const times) }), (5, 0));
    assert_eq!((flock(fd, 2), flock(99, 2), errno::get()), (0, -1, EBADF));
    let space = used(For::Files);
    assert_eq!((fallocate64(fd, 1, 0, 8192), f.stat("a")[2]), (0, 0));
    assert!(used(For::Files) >= space + 8192);
    assert_eq!((posix_fallocate64(fd, 0, 10), f.stat("a")[2]), (0, 10));
    assert_eq!((fallocate64(fd, 3, 0, 1), errno::get()), (-1, EOPNOTSUPP));
    assert_eq!(posix_fallocate64(fd, 0, i64::MAX), errno::ENOSPC);
    assert_eq!((fallocate64(fd, 0, 0, 0), errno::get()), (-1, EINVAL));
    assert_eq!((f.close(fd), f.unlink("a"), used(For::Files)), (0, 0, 0));
}

#[test]
fn files_are_copied_in_pieces() {
    let f = Files { kernel: false, root: "/tmp".into() };
    f.put("a", "0123456789");
    let (from, to) = (f.open("a", 0), f.open("b", CREATE));
    let (mut two, null) = (2i64, core::ptr::null_mut());
    // SAFETY: NULL or writable offsets, here and below.
    let copy = |offset: *mut i64, n| unsafe { copy::copy_file_range(from, offset, to, null, n, 0) };
    assert_eq!((copy(null, 4), copy(&raw mut two, 3), two), (4, 3, 5));
    assert_eq!(
        (copy(null, 100), copy(null, 100), f.text("b").unwrap()),
        (6, 0, b"0123234456789".into())
    );
    // SAFETY: as above.
    let back = unsafe { copy::copy_file_range(to, null, from, null, 1, 0) };
    assert_eq!((back, errno::get()), (-1, EBADF));
    assert_eq!((copy::splice(from, null, to, null, 1, 0), errno::get()), (-1, EINVAL));
    f.close(from);
    f.close(to);
    assert_eq!((f.unlink("a"), f.unlink("b"), used(For::Files)), (0, 0, 0));
}

#[test]
fn a_directory_that_was_removed_takes_nothing() {
    let f = Files { kernel: false, root: "/tmp".into() };
    assert_eq!(f.mkdir("gone", 0o755), 0);
    let directory = f.open("gone", 0);
    assert_eq!(f.rmdir("gone"), 0);
    // SAFETY: a C string.
    let made = unsafe { mkdirat(directory, c"x".as_ptr(), 0o755) };
    assert_eq!((made, errno::get(), used(For::Files) > 0), (-1, ENOENT, true));
    assert_eq!((f.close(directory), used(For::Files)), (0, 0));
}

#[test]
fn a_mapping_is_a_copy_where_nobody_can_tell() {
    let f = Files { kernel: false, root: String::new() };
    f.put("tmp/a", "text");
    let copy = |path: &str, flags: c_int, shared: bool, offset: i64| {
        let fd = f.open(path, flags);
        let mut bytes = [0; 8];
        // SAFETY: the buffer is as long as said.
        let filled = unsafe { super::super::fill(fd, offset, shared, bytes.as_mut_ptr(), 8) };
        f.close(fd);
        filled.map(|()| bytes)
    };
    assert_eq!(copy("tmp/a", RW, false, 0), Ok(*b"text\0\0\0\0"));
    assert_eq!(copy("tmp/a", RW, false, 2), Ok(*b"xt\0\0\0\0\0\0"));
    assert_eq!(copy("tmp/a", RW, true, 0), Err(ENODEV));
    assert_eq!(copy("tmp/a", 1, false, 0), Err(errno::EACCES));
    assert_eq!(copy("etc/hosts", 0, true, 0), Ok(*b"127.0.0."));
    assert_eq!(copy("dev/zero", 0, false, 0), Err(ENODEV));
    assert_eq!(copy("none", 0, false, 0), Err(EBADF));
    assert_eq!(f.unlink("tmp/a"), 0);
}

/// What is seen where, after changes by one way and by the other.
#[test]
fn a_shared_mapping_is_the_file() {
    same("shared", |f| {
        let fd = f.open("shared", CREATE);
        let map = |len: usize, prot: c_int, offset: i64| {
            let at = either!(
                f,
                crate::mmap::mmap(core::ptr::null_mut(), len, prot, 1, fd, offset).addr(),
                host::mmap(core::ptr::null_mut(), len, prot, 1, fd, offset).addr()
            );
            core::ptr::with_exposed_provenance_mut::<u8>(at as usize)
        };
        let unmap = |at: *mut u8, len: usize| {
            either!(f, crate::mmap::munmap(at, len), host::munmap(at.cast(), len))
        };
        let protect = |at: *mut u8, len: usize| {
            either!(f, crate::mmap::mprotect(at, len, 1), host::mprotect(at.cast(), len, 1))
        };
        let truncate = |len: i64| either!(f, ftruncate64(fd, len), host::ftruncate64(fd, len));
        let mut seen = vec![f.write_at(fd, "first", 4094), truncate(10_000)];
        let (one, two, second) = (map(10_000, 3, 0), map(10_000, 1, 0), map(100, 3, 4096));
        // SAFETY: within the mappings, as long as they are there.
        unsafe {
            seen.extend(
                [two.add(4094).read(), two.add(4097).read(), two.add(9_999).read()].map(i64::from),
            );
            one.write(b'F');
            second.write(b'R');
            seen.extend([two.read(), one.add(4096).read(), second.add(1).read()].map(i64::from));
            // What this mapping allows is nothing to the file and to others.
            seen.extend([protect(two, 10_000), f.write_at(fd, "more", 9_998)]);
            seen.extend([two.add(9_998).read(), one.add(9_999).read()].map(i64::from));
            seen.extend([unmap(one, 4096), unmap(second, 100)]);
            one.add(4097).write(b's');
            seen.extend([unmap(one.add(4096), 5_904), truncate(4_097), truncate(9_000)]);
            seen.extend(
                [two.add(4_096).read(), two.add(4_097).read(), two.add(8_999).read()]
                    .map(i64::from),
            );
            seen.push(unmap(two, 10_000));
        }
        let read_only = f.open("shared", 0);
        let refused = either!(
            f,
            match crate::mmap::mmap(core::ptr::null_mut(), 10, 3, 1, read_only, 0).addr() {
                usize::MAX => -1,
                _ => 0,
            },
            match host::mmap(core::ptr::null_mut(), 10, 3, 1, read_only, 0).addr() {
                usize::MAX => -1,
                _ => 0,
            }
        );
        seen.extend([refused, f.close(read_only), f.close(fd)]);
        let text = f.text("shared");
        (seen, text, f.unlink("shared"))
    });
    assert_eq!(used(For::Files), 0);
}

#[test]
fn a_mapped_file_has_its_memory_until_nobody_needs_it() {
    let f = Files { kernel: false, root: String::new() };
    let fd = f.open("tmp/a", CREATE);
    // SAFETY: a new mapping, which is given back.
    unsafe {
        let map = |len| crate::mmap::mmap(core::ptr::null_mut(), len, 3, 1, fd, 0);
        let at = map(5000);
        at.add(8000).write(1);
        assert_eq!(f.seek(fd, 0, 2), 0);
        // It cannot grow where it is, nor can there be two.
        assert_eq!((map(9000).addr(), errno::get()), (usize::MAX, errno::ENOMEM));
        assert_eq!((map(1 << 40).addr(), errno::get()), (usize::MAX, errno::ENOMEM));
        assert_eq!((f.close(fd), f.unlink("tmp/a")), (0, 0));
        assert!(used(For::Files) > 8192);
        // Nothing of it is no part of it.
        assert_eq!((crate::mmap::munmap(at, 0), crate::mmap::munmap(at.add(1), 4096)), (-1, -1));
        assert_eq!((at.add(8000).read(), crate::mmap::munmap(at, 5000)), (1, 0));
    }
    assert_eq!(used(For::Files), 0);
}

#[path = "places_tests.rs"]
mod places;
#[path = "space_tests.rs"]
mod space;
