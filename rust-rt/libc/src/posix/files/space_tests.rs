//! What files take of the memory, what a refused call leaves alone, and offsets, here and on the host's kernel.

use super::super::super::super::memory::share;
use super::super::super::super::{kernel, parts::Part, table};
use super::*;

impl Files {
    fn allocate(&self, fd: c_int, flags: c_int, offset: i64, n: i64) -> i64 {
        either!(self, fallocate64(fd, flags, offset, n), host::fallocate64(fd, flags, offset, n))
    }

    fn cut(&self, fd: c_int, len: i64) -> i64 {
        either!(self, ftruncate64(fd, len), host::ftruncate64(fd, len))
    }

    fn read_at(&self, fd: c_int, offset: i64) -> i64 {
        let mut buf = [0u8; 8];
        let at = buf.as_mut_ptr().cast::<c_void>();
        either!(self, io::pread64(fd, at, 8, offset), host::pread64(fd, at.cast(), 8, offset))
    }

    fn copy(&self, from: c_int, to: c_int) -> i64 {
        let null = core::ptr::null_mut::<i64>();
        either!(
            self,
            copy::copy_file_range(from, null, to, null, 9, 0),
            host::copy_file_range(from, null, to, null, 9, 0)
        )
    }

    fn send(&self, to: c_int, from: c_int) -> i64 {
        let null = core::ptr::null_mut::<i64>();
        either!(self, copy::sendfile64(to, from, null, 9), host::sendfile(to, from, null, 9))
    }
}

#[test]
fn what_appends_is_never_overwritten() {
    same("append", |f| {
        let mut log = vec![f.put("source", "source"), f.put("log", "old text")];
        let (source, to) = (f.open("source", 0), f.open("log", 0o2000 | 1));
        log.extend([f.copy(source, to), f.send(to, source), f.write_at(to, "!", 0)]);
        log.extend([f.write_at(to, "x", -1), f.write(to, "?"), f.seek(to, 0, 1)]);
        log.extend([f.close(to), f.close(source)]);
        (log, f.text("log"))
    });
}

#[test]
fn what_is_open_for_writing_only_is_not_read() {
    same("write-only", |f| {
        let mut log = vec![f.put("a", "text")];
        let (fd, to) = (f.open("a", 1), f.open("b", CREATE));
        let mut byte = 0u8;
        let mut list = [Part::new(&[])];
        list[0] = Part::of((&raw mut byte).cast(), 1).unwrap();
        let parts = list.as_mut_ptr();
        log.extend([f.read_at(fd, 0), f.send(to, fd), f.copy(fd, to)]);
        log.push(either!(
            f,
            io::preadv64(fd, parts.cast(), 1, 0),
            host::preadv64(fd, parts.cast(), 1, 0)
        ));
        log.extend([f.send(fd, to), f.close(fd), f.close(to)]);
        (log, byte, f.text("b"))
    });
}

#[test]
fn nothing_written_makes_nothing_longer() {
    same("nothing", |f| {
        let fd = f.open("a", CREATE);
        let mut log = vec![f.write_at(fd, "", 5000), f.stat("a")[2], f.seek(fd, 70, 0)];
        log.extend([f.write(fd, ""), f.stat("a")[2], f.write(fd, "x"), f.stat("a")[2]]);
        log.extend([f.write_at(fd, "", 5), f.stat("a")[2], f.close(fd)]);
        log
    });
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let f = Files { kernel: false, root: "/tmp".into() };
    let fd = f.open("a", CREATE);
    let room = (share(For::Files) - used(For::Files)) / 4160 * 4096;
    assert_eq!(f.allocate(fd, 1, 0, room as i64), 0);
    let none = -i64::from(errno::ENOSPC);
    assert_eq!((f.write_at(fd, "x", 1 << 40), f.stat("a")[2]), (none, 0));
    // What was set aside behind the end goes with any truncation.
    assert_eq!((f.cut(fd, 0), f.write_at(fd, "x", 1 << 40)), (0, 1));
    assert_eq!((f.close(fd), f.unlink("a"), used(For::Files)), (0, 0, 0));
}

#[test]
fn what_cannot_all_be_set_aside_is_not_begun() {
    let f = Files { kernel: false, root: "/tmp".into() };
    let fd = f.open("a", CREATE);
    f.write_at(fd, "kept", 8192);
    let before = (used(For::Files), f.stat("a")[2]);
    let none = -i64::from(errno::ENOSPC);
    for (flags, offset, n) in
        [(0, 0, 1 << 40), (1, 4096, i64::MAX - 4096), (0, 0, share(For::Files) as i64)]
    {
        assert_eq!(f.allocate(fd, flags, offset, n), none, "{n}");
        assert_eq!((used(For::Files), f.stat("a")[2]), before);
    }
    assert_eq!((f.allocate(fd, 0, 0, 12288), used(For::Files) - before.0), (0, 2 * 4160));
    assert_eq!((f.allocate(fd, 1, 0, 1 << 20), f.cut(fd, 8192)), (0, 0));
    assert_eq!(used(For::Files) - before.0, 4160);
    assert_eq!((f.close(fd), f.unlink("a"), used(For::Files)), (0, 0, 0));
}

#[test]
fn names_and_targets_count() {
    let f = Files { kernel: false, root: "/tmp".into() };
    f.put("a", "");
    let before = used(For::Files);
    let name = |n: usize| format!("{n:0250}");
    let made = (0..1000).map(|n| f.link("a", &name(n))).filter(|&result| result == 0).count();
    assert_eq!((made, used(For::Files) - before >= 1000 * 250), (1000, true));
    let linked = used(For::Files);
    // Another name instead, a longer one, and over another.
    assert_eq!((f.rename(&name(0), &format!("{:0255}", 0)), used(For::Files) - linked), (0, 5));
    // The same file has both names already.
    assert_eq!((f.rename("a", &name(2)), f.stat("a")[1], f.unlink("a")), (0, 1001, 0));
    let other = (f.put("other", ""), f.rename("other", &name(3)), f.unlink(&name(3)));
    assert_eq!(other, (0, 0, 0));
    assert!((1..1000).all(|n| f.unlink(&name(n)) == if n == 3 { -i64::from(ENOENT) } else { 0 }));
    assert_eq!((f.unlink(&format!("{:0255}", 0)), used(For::Files)), (0, 0));
    assert_eq!((f.symlink(&"t".repeat(4095), "l"), used(For::Files) >= 4095), (0, true));
    assert_eq!((f.unlink("l"), used(For::Files)), (0, 0));
    // Until the memory is used up, and not beyond; what was made can still be listed, renamed and removed.
    let mut links = 0;
    while f.symlink(&"t".repeat(4095), &name(links)) == 0 {
        links += 1;
    }
    assert_eq!(f.symlink(&"t".repeat(4095), &name(links)), -i64::from(errno::ENOSPC));
    assert!(links < share(For::Files) / 4095 && used(For::Files) <= share(For::Files));
    assert_eq!((f.names("").len(), f.rename(&name(0), &name(links))), (links + 2, 0));
    assert!((1..=links).all(|n| f.unlink(&name(n)) == 0));
    assert_eq!(used(For::Files), 0);
}

#[test]
fn targets_are_as_long_as_paths_at_most() {
    same("targets", |f| {
        let lengths = [4095, 4096, 1 << 20].map(|n| f.symlink(&"t".repeat(n), &format!("l{n}")));
        let order = [f.put("x", ""), f.symlink("", "x"), f.symlink(&"t".repeat(4096), "x")];
        (lengths, order, f.names(""))
    });
}

#[test]
fn a_refused_open_has_done_nothing() {
    let f = Files { kernel: false, root: "/tmp".into() };
    f.put("a", "text");
    let some = f.open("a", 0);
    while table::duplicate(some, 0, false).is_ok() {}
    let full = -errno::EMFILE;
    assert_eq!([f.open("a", 0o1000 | RW), f.open("new", CREATE), f.open("none", 0)], [full; 3]);
    f.close(some);
    assert_eq!((f.text("a"), f.stat("new")[0]), (Ok(b"text".into()), -i64::from(ENOENT)));
    assert_eq!((f.unlink("a"), f.open("a", 0)), (0, -ENOENT));
}

#[test]
fn times_are_set_by_number_without_a_path() {
    same("times", |f| {
        let fd = f.open("a", CREATE);
        let set = |fd: c_int, path: *const c_char, seconds: i64, flags: usize| {
            let times = [Timespec { seconds, nanoseconds: 6 }; 2];
            let at = times.as_ptr();
            let arguments =
                [fd as usize, path.expose_provenance(), at.expose_provenance(), flags, 0, 0];
            either!(
                f,
                match kernel::system_call(280, arguments) {
                    error @ ..0 => errno::fail(-error as c_int),
                    _ => 0,
                },
                host::syscall(host::SYS_utimensat, fd, path, at, flags)
            )
        };
        let null = core::ptr::null();
        let mut log = vec![set(fd, null, 5, 0), f.modified("a"), set(-100, null, 7, 0)];
        log.extend([
            set(fd, c"".as_ptr(), 8, 0x1000),
            f.modified("a"),
            set(fd, c"".as_ptr(), 9, 0),
        ]);
        log.extend([set(99, null, 5, 0), f.modified("a"), f.close(fd)]);
        log
    });
}
