//! Places and the ends of paths, here and on the host's kernel: what was renamed while it is open, `.`, `..` and slashes.

use super::super::super::calls::{chdir, fstatat64, getcwd, openat64, realpath};
use super::super::super::directory::read_directory;
use super::super::super::sockets::SocketPlace;
use super::*;
use alloc::rc::Weak;

impl Files {
    fn open_in(&self, dir: c_int, path: &str, flags: c_int) -> c_int {
        let path = CString::new(path).unwrap();
        let at = path.as_ptr();
        either!(self, openat64(dir, at, flags, 0o640), host::openat(dir, at, flags, 0o640)) as c_int
    }

    fn make_in(&self, dir: c_int, path: &str) -> i64 {
        let path = CString::new(path).unwrap();
        either!(self, mkdirat(dir, path.as_ptr(), 0o755), host::mkdirat(dir, path.as_ptr(), 0o755))
    }

    fn remove_in(&self, dir: c_int, path: &str, flags: c_int) -> i64 {
        let path = CString::new(path).unwrap();
        let at = path.as_ptr();
        either!(self, unlinkat(dir, at, flags), host::unlinkat(dir, at, flags))
    }

    fn rename_in(&self, path: &str, dir: c_int, to: &str) -> i64 {
        let (path, to) = (self.path(path), CString::new(to).unwrap());
        let (path, to) = (path.as_ptr(), to.as_ptr());
        either!(self, renameat(-100, path, dir, to), host::renameat(-100, path, dir, to))
    }

    /// The kernel lets only some users link a descriptor by AT_EMPTY_PATH, but everybody by its name in `/proc`.
    fn link_open(&self, fd: c_int, to: &str) -> i64 {
        let (named, to) = (CString::new(format!("/proc/self/fd/{fd}")).unwrap(), self.path(to));
        let (named, to) = (named.as_ptr(), to.as_ptr());
        either!(
            self,
            linkat(fd, c"".as_ptr(), -100, to, AT_EMPTY_PATH),
            host::linkat(-100, named, -100, to, AT_SYMLINK_FOLLOW)
        )
    }

    fn link_in(&self, dir: c_int, path: &str, to: &str, flags: c_int) -> i64 {
        let (path, to) = (CString::new(path).unwrap(), self.path(to));
        let (path, to) = (path.as_ptr(), to.as_ptr());
        either!(self, linkat(dir, path, -100, to, flags), host::linkat(dir, path, -100, to, flags))
    }

    fn inode_in(&self, dir: c_int, path: &str) -> core::result::Result<u64, i64> {
        let path = CString::new(path).unwrap();
        let mut stat = Stat::anonymous();
        let (at, to) = (path.as_ptr(), &raw mut stat);
        let result =
            either!(self, fstatat64(dir, at, to, 0), host::fstatat64(dir, at, to.cast(), 0));
        if result < 0 { Err(result) } else { Ok(stat.inode) }
    }

    /// The real path below the directory of this test, or an error. The buffer has PATH_MAX bytes, and some that stay.
    fn real(&self, path: &str) -> core::result::Result<String, i64> {
        let path = self.path(path);
        let mut buf = vec![0x55u8; 16384];
        let (at, to) = (path.as_ptr(), buf.as_mut_ptr().cast::<c_char>());
        let null = core::ptr::null_mut::<c_char>();
        let result = either!(
            self,
            i64::from(realpath(at, to) != null) - 1,
            i64::from(host::realpath(at, to) != null) - 1
        );
        assert!(buf[4096..].iter().all(|&byte| byte == 0x55), "written past the end");
        if result < 0 {
            return Err(result);
        }
        let real = core::ffi::CStr::from_bytes_until_nul(&buf).unwrap().to_str().unwrap();
        Ok(real.strip_prefix(&*self.root).unwrap().into())
    }
}

const REMOVE_DIRECTORY: c_int = 0x200;

#[test]
fn dots_and_slashes_at_the_end_are_no_names() {
    same("ends", |f| {
        let mut log = vec![f.mkdir("d", 0o755), f.mkdir("d/e", 0o755), f.put("file", "text")];
        log.extend([f.symlink("d", "soft"), f.symlink("file", "alias"), f.symlink("none", "lost")]);
        let ends = [
            "d/.", "d/..", "d/e/..", "d/e/.", ".", "..", "d/e/", "soft/", "soft/.", "soft/..",
            "alias/", "lost/", "file/", "file/.", "file/..", "none/", "none/.", "new//", "", "d//",
            "soft/e/",
        ];
        let mut each = vec![];
        for path in ends {
            let mut log = vec![];
            // What succeeds is undone.
            log.extend([f.unlink(path), f.rmdir(path), f.mkdir("d/e", 0o755)]);
            log.extend([f.link("file", path), f.symlink("file", path)]);
            log.extend([f.mkdir(path, 0o755), f.rmdir(path), f.mkdir("d/e", 0o755)]);
            log.extend([f.rename("file", path), f.rename(path, "other")]);
            log.extend([f.rename("other", path)]);
            log.extend([f.mkdir("dir", 0o755), f.rename("dir", path), f.rename(path, "dir")]);
            log.extend([f.mkdir("d/e", 0o755), f.rmdir("dir")]);
            for flags in [0, CREATE, CREATE | 0o200, 0o200_000] {
                let fd = f.open(path, flags);
                log.push(if fd < 0 { fd.into() } else { f.close(fd) });
            }
            each.push((String::from(path), log, f.names(""), f.names("d"), f.text("file")));
        }
        let long = "x".repeat(256);
        log.extend([f.unlink(&long), f.rmdir(&long), f.mkdir(&long, 0o755), f.link("file", &long)]);
        log.extend([
            f.symlink("file", &long),
            f.rename("file", &long),
            f.open(&long, CREATE).into(),
        ]);
        (log, each, f.names(""), f.names("d"), f.text("file"))
    });
}

#[test]
fn the_root_is_no_name() {
    let f = Files { kernel: false, root: String::new() };
    let [busy, exists] = [EBUSY, EEXIST].map(|error| -i64::from(error));
    assert_eq!([f.rmdir(""), f.rename("", "tmp/x"), f.rename("tmp", "")], [busy; 3]);
    assert_eq!([f.mkdir("", 0), f.symlink("x", ""), f.link("tmp", "")], [exists; 3]);
    assert_eq!(f.unlink(""), -i64::from(EISDIR));
}

#[test]
fn an_open_directory_is_where_it_was_renamed_to() {
    same("open", |f| {
        let mut log = vec![f.mkdir("b", 0o755), f.put("b/inside", "kept")];
        let fd = f.open("b", 0);
        log.extend([f.rename("b", "c"), f.mkdir("b", 0o755), f.put("b/precious", "precious")]);
        log.extend([f.remove_in(fd, ".", REMOVE_DIRECTORY), f.remove_in(fd, "..", 0)]);
        log.extend([f.rmdir("b/."), f.rename("c/.", "d"), f.rename("c/..", "d")]);
        // Elsewhere, and deeper: what is above it has changed.
        log.extend([f.mkdir("p", 0o755), f.mkdir("p/q", 0o755), f.rename("c", "p/q/c")]);
        let inode = |path: &str| f.whole_stat(path).unwrap().inode;
        let up = f.inode_in(fd, "..") == Ok(inode("p/q"));
        let (up, top) = (up, f.inode_in(fd, "../../..") == Ok(inode("")));
        log.extend([f.make_in(fd, "../beside"), f.make_in(fd, "e")]);
        let e = f.open_in(fd, "e", 0);
        log.extend([f.remove_in(fd, "e", REMOVE_DIRECTORY), f.make_in(e, "x")]);
        let removed = f.inode_in(e, "..") == Ok(inode("p/q/c"));
        let itself = (f.inode_in(e, ".").is_ok(), f.inode_in(e, "none"), f.inode_in(e, ""));
        log.extend([f.close(e), f.close(fd)]);
        (log, up, top, removed, itself, f.names("b"), f.names("p/q"), f.names("p/q/c"))
    });
}

#[test]
fn no_directory_is_moved_into_itself() {
    same("cycle", |f| {
        let mut log = vec![f.mkdir("a", 0o755), f.mkdir("b", 0o755), f.mkdir("b/x", 0o755)];
        let (b, x) = (f.open("b", 0), f.open("b/x", 0));
        log.extend([f.rename("b", "a/b"), f.rename_in("a", b, "a"), f.rename_in("a", x, "a")]);
        log.extend([f.rename("a", "a/new"), f.rename("a", "a/b"), f.rename("a/b/x", "a")]);
        log.extend([f.rename("a/b/x", "a/b"), f.put("a/b/file", ""), f.rename("a/b/file", "a")]);
        log.extend([f.rename("a/b/file", "a/b"), f.rename_in("a/b/x", b, "y")]);
        log.extend([f.close(b), f.close(x)]);
        (log, f.names(""), f.names("a"), f.names("a/b"), f.stat("a"))
    });
}

#[test]
fn the_working_directory_follows_its_name() {
    let f = Files { kernel: false, root: "/tmp".into() };
    let here = || {
        let mut buf = [0u8; 64];
        // SAFETY: the buffer is as long as said.
        match unsafe { getcwd(buf.as_mut_ptr().cast(), buf.len()) }.is_null() {
            true => Err(errno::get()),
            false => Ok(String::from(
                core::ffi::CStr::from_bytes_until_nul(&buf).unwrap().to_str().unwrap(),
            )),
        }
    };
    assert_eq!((here(), f.mkdir("w", 0o755), f.mkdir("w/v", 0o755)), (Ok("/".into()), 0, 0));
    // SAFETY: C strings, here and below.
    assert_eq!(unsafe { chdir(c"/tmp/w/v".as_ptr()) }, 0);
    assert_eq!((f.rename("w", "z"), here()), (0, Ok("/tmp/z/v".into())));
    assert_eq!((f.rmdir("z/v"), here()), (0, Err(ENOENT)));
    // SAFETY: as above.
    assert_eq!((unsafe { chdir(c"/".as_ptr()) }, here()), (0, Ok("/".into())));
    assert_eq!((f.rmdir("z"), used(For::Files)), (0, 0));
}

#[test]
fn a_real_path_is_never_longer_than_its_buffer() {
    same("real", |f| {
        let part = "x".repeat(200);
        let mut fds = vec![f.open("", 0)];
        let mut log = vec![];
        for _ in 0..25 {
            let above = *fds.last().unwrap();
            log.push(f.make_in(above, &part));
            fds.push(f.open_in(above, &part, 0));
        }
        let deep = |n: usize| vec![&*part; n].join("/");
        log.extend([f.symlink(&deep(12), "link"), f.mkdir("d", 0o755)]);
        let short = f.real(&format!("link/{}/../.", deep(3)));
        let long = f.real(&format!("link/{}", deep(13)));
        let others = [f.real("d/../d"), f.real("none"), f.real("")];
        for (at, &fd) in fds.iter().enumerate().rev() {
            log.push(if at < 25 { f.remove_in(fd, &part, REMOVE_DIRECTORY) } else { 0 });
            log.push(f.close(fd));
        }
        (log, short, long, others)
    });
}

#[test]
fn no_name_is_missed_when_others_go() {
    same("list", |f| {
        let mut log: Vec<i64> = (0..20).map(|at| f.put(&format!("file{at:02}"), "")).collect();
        let (fd, mut buf, mut names) = (f.open("", 0), [0u8; 200], 0);
        loop {
            let (at, n) = (buf.as_mut_ptr(), buf.len());
            // SAFETY: the buffer is as long as said.
            let n = match unsafe { either_list(f, fd, at, n) } {
                0 => break,
                n => usize::try_from(n).unwrap(),
            };
            let mut entry = 0;
            while entry < n {
                let name = core::ffi::CStr::from_bytes_until_nul(&buf[entry + 19..]).unwrap();
                let name = name.to_str().unwrap();
                if name.starts_with("file") {
                    (names, log) = (names + 1, [log, vec![f.remove_in(fd, name, 0)]].concat());
                }
                entry += usize::from(u16::from_ne_bytes([buf[entry + 16], buf[entry + 17]]));
            }
        }
        // From the beginning it is as it is now.
        log.extend([f.put("late", ""), f.seek(fd, 0, 0)]);
        // SAFETY: as above.
        let again = unsafe { either_list(f, fd, buf.as_mut_ptr(), buf.len()) };
        log.extend([f.close(fd), f.unlink("late"), used(For::Buffers) as i64]);
        (names, log, again, f.names(""))
    });
}

/// `getdents64`.
///
/// # Safety
///
/// `n` bytes at `buf` are writable.
unsafe fn either_list(f: &Files, fd: c_int, buf: *mut u8, n: usize) -> i64 {
    use super::super::super::super::answer::size;
    either!(
        f,
        size(read_directory(fd, buf.cast(), n)),
        host::syscall(host::SYS_getdents64, fd, buf, n)
    )
}

#[test]
fn what_has_no_name_gets_none() {
    same("empty", |f| {
        let fd = f.open("a", CREATE);
        let mut log = vec![f.link_open(fd, "b"), f.stat("a")[1], f.link_in(fd, "", "c", 0)];
        log.extend([f.unlink("a"), f.link_open(fd, "d"), f.unlink("b"), f.link_open(fd, "e")]);
        log.extend([f.unlink("d"), f.unlink("e"), f.link_open(fd, "none")]);
        log.push(f.link_in(-100, "x", "y", 0x800));
        log.push(f.close(fd));
        (log, f.names(""))
    });
}

#[test]
fn a_socket_takes_only_a_free_name() {
    let f = Files { kernel: false, root: "/tmp".into() };
    assert_eq!(f.symlink("none", "lost"), 0);
    let bind = |path: &[u8]| {
        let place = SocketPlace::of(path).map_err(|error| error.0)?;
        place.put(Weak::new()).map_err(|error| error.0)
    };
    let taken = Err(errno::EADDRINUSE);
    assert_eq!(
        (bind(b"/tmp/a/"), bind(b"/tmp/lost"), bind(b"/tmp/.")),
        (Err(ENOENT), taken, taken)
    );
    assert_eq!(
        (bind(b"/tmp/a"), f.names("")),
        (Ok(()), vec![".".into(), "..".into(), "a".into(), "lost".into()])
    );
    // Two that wait for a disk while they look for the same name: the second one does not take it from the first.
    assert_eq!(f.unlink("a"), 0);
    let [first, second] = [(); 2].map(|()| SocketPlace::of(b"/tmp/a").ok().unwrap());
    assert_eq!(first.put(Weak::new()), Ok(()));
    assert_eq!(second.put(Weak::new()), Err(Errno(errno::EADDRINUSE)));
    assert_eq!((f.unlink("a"), f.unlink("lost"), used(For::Files)), (0, 0, 0));
}
