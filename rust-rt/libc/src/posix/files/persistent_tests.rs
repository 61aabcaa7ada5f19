//! Files that persist: what a store has after a commit is what the next mount finds, whatever happened in between.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::ffi::CString;
use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ffi::{c_int, c_void};
use core::ops::Bound::{Excluded, Unbounded};

use super::super::memory::{For, Reserved, share, used};
use super::super::parts::{Errno, PartMut, Result};
use super::super::small::syncfs;
use super::super::{block_tests, io, table};
use super::block::{PAGE, PAGE_COST};
use super::calls::open_at;
use super::changes::*;
use super::keeper;
use super::lookup::{AT_FDCWD, find};
use super::mapped;
use super::node::{self, Kind, Node};
use super::store::{Changes, Key, Store};
use super::{commit_files, mount_store};
use crate::errno::{self, EBUSY, EDEADLK, EIO, ENOSPC, EXDEV};
use crate::limited;

pub(super) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store in memory.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) map: RefCell<Map>,
    /// The transaction after which so many changes were made fails.
    fails_after: Cell<Option<usize>>,
    /// The next transaction is made, and an error is told.
    fails_late: Cell<bool>,
    /// Nobody is told which keys there are.
    hides_keys: Cell<bool>,
    /// Happens during the next transaction.
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
    /// How often it was told that there are changes.
    told: Cell<u32>,
    pub(super) commits: Cell<u32>,
    /// How often it was asked for a page.
    asked: Cell<u32>,
    /// How many pages were put into it.
    put: Cell<u32>,
    /// It has room for so many pages; as many as anybody wants without this.
    room: Cell<Option<u64>>,
}

/// What `f` returns where there is no memory left: whoever allocates something has stored pages give way.
fn short_of_memory<T>(f: impl FnOnce() -> T) -> T {
    limited::before_each(|| while keeper::evict() {}, f)
}

struct Transaction<'a>(&'a Shelf, Map, usize);

impl Transaction<'_> {
    fn step(&mut self) -> Result {
        if let Some(f) = self.0.meanwhile.take() {
            f();
        }
        self.2 += 1;
        match self.0.fails_after.get() {
            Some(most) if self.2 > most => Err(Errno(EIO)),
            _ => Ok(()),
        }
    }
}

/// A store that holds this.
pub(super) fn holding(map: &Map) -> Rc<Shelf> {
    Rc::new(Shelf { map: RefCell::new(map.clone()), ..Shelf::default() })
}

impl Changes for Transaction<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.0
            .put
            .set(self.0.put.get() + u32::from(matches!(Key::parse(key), Some(Key::Page(..)))));
        let is_new = self.1.insert(key.into(), value.into()).is_none();
        self.step().map(|()| is_new)
    }

    fn remove(&mut self, first: &[u8], last: &[u8]) -> Result<u64> {
        let before = self.1.len();
        self.1.retain(|key, _| !(first..=last).contains(&&key[..]));
        self.step().map(|()| (before - self.1.len()) as u64)
    }
}

impl Store for Rc<Shelf> {
    fn each(&self, before: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> Result) -> Result {
        if self.hides_keys.get() {
            return Err(Errno(EIO));
        }
        let map = self.map.borrow();
        let mut all = map.range::<[u8], _>((Unbounded, Excluded(before)));
        all.try_for_each(|(key, value)| f(key, value))
    }

    fn get(&self, key: &[u8], f: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.asked.set(self.asked.get() + 1);
        if let Some(f) = self.meanwhile.take() {
            f();
        }
        Ok(self.map.borrow().get(key).map(|value| f(value)).is_some())
    }

    fn pages(&self) -> u64 {
        self.room.get().unwrap_or(u64::MAX)
    }

    fn transact(&self, f: &mut dyn FnMut(&mut dyn Changes) -> Result) -> Result {
        let mut transaction = Transaction(self, self.map.borrow().clone(), 0);
        f(&mut transaction)?;
        self.map.replace(transaction.1);
        self.commits.set(self.commits.get() + 1);
        if self.fails_late.take() { Err(Errno(EIO)) } else { Ok(()) }
    }

    fn has_changes(&self) {
        self.told.set(self.told.get() + 1);
    }
}

/// A new store whose files are at a path.
pub(super) fn mounted(path: &str) -> Rc<Shelf> {
    block_tests::give_busy();
    let shelf = Rc::new(Shelf::default());
    assert_eq!(mount_store(path, Box::new(Rc::clone(&shelf))), Ok(()));
    shelf
}

/// What the next domain would find in a store.
pub(super) fn after_a_crash(map: &Map) -> Result<Vec<String>> {
    let shelf = holding(map);
    mount_store("/next", Box::new(Rc::clone(&shelf)))?;
    assert_eq!(shelf.commits.get(), 0, "there was nothing to change");
    Ok(list("/next"))
}

/// All that is below a path, with whatever is known about it.
pub(super) fn list(path: &str) -> Vec<String> {
    let node = find(AT_FDCWD, path.as_bytes(), true).unwrap().node.unwrap();
    let mut lines = Vec::from([about(&node)]);
    for (name, ..) in node::names(&node).unwrap() {
        let name = core::str::from_utf8(&name).unwrap();
        let child = node.own_child(name.as_bytes()).unwrap();
        if child.is_directory() {
            lines.extend(
                list(&format!("{path}/{name}")).iter().map(|line| format!("{name}/{line}")),
            );
        } else {
            lines.push(format!("{name} {}", about(&child)));
        }
    }
    lines
}

fn about(node: &Node) -> String {
    let holds = match &node.kind {
        Kind::Link(target) => format!("{:?}", CString::new(&**target).unwrap()),
        Kind::Written(contents) => {
            let mut bytes = alloc::vec![0; contents.len().min(1 << 20) as usize];
            contents.read(&mut [PartMut::new(&mut bytes)], 0).unwrap();
            let sum = bytes.iter().fold(0u32, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte));
            format!("{} bytes, sum {sum:x}", contents.len())
        }
        _ => String::new(),
    };
    let stat = node.stat(node.size());
    format!("#{} {:o} x{} @{} {holds}", stat.inode, stat.mode, stat.links, node.modified.get())
}

fn open(path: &str, flags: c_int) -> Result<c_int> {
    open_at(AT_FDCWD, path.as_bytes(), flags, 0o640)
}

/// Writes to a file, which is made if it is not there.
pub(super) fn put(path: &str, bytes: &[u8], at: i64) {
    let fd = open(path, 0o102).unwrap();
    // SAFETY: the bytes are there.
    let n = unsafe { io::pwrite64(fd, bytes.as_ptr().cast::<c_void>(), bytes.len(), at) };
    assert_eq!(n, bytes.len() as isize);
    table::close(fd).unwrap();
}

pub(super) fn text(path: &str) -> Vec<u8> {
    let fd = open(path, 0).unwrap();
    let mut buf = [0; 40];
    let n = io::read_into(fd, &mut buf).unwrap();
    table::close(fd).unwrap();
    buf[..n].into()
}

/// A call with paths: 0, or the error, negative.
macro_rules! call {
    ($f:ident($($path:expr),+ $(; $more:expr)?)) => {{
        let paths = [$(CString::new(&*$path).unwrap()),+];
        let mut paths = paths.iter().map(|path| path.as_ptr());
        // SAFETY: C strings.
        let result = unsafe { $f($({ let _ = &$path; paths.next().unwrap() }),+ $(, $more)?) };
        if result < 0 { -errno::get() } else { result }
    }};
}
pub(super) use call;

#[test]
fn all_kinds_of_files_are_there_after_a_crash() {
    let shelf = mounted("/data");
    put("/data/text", b"hello", 0);
    put("/data/sparse", b"end", 1 << 40);
    put("/data/long", &[7; 10_000], 100);
    assert_eq!(call!(mkdir("/data/deep"; 0o700)), 0);
    assert_eq!(call!(mkdir("/data/deep/er"; 0o755)), 0);
    put("/data/deep/er/\u{e4}", b"\0\0", 0);
    assert_eq!(call!(symlink("../text", "/data/deep/link")), 0);
    assert_eq!(call!(link("/data/text", "/data/deep/same")), 0);
    assert_eq!(call!(chmod("/data/long"; 0o400)), 0);
    assert_eq!(commit_files(), Ok(()));
    let before = list("/data");
    assert_eq!(before.len(), 9, "{before:#?}");
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(before.clone()));
    // What is not committed is lost, and nothing else.
    let stable = shelf.map.borrow().clone();
    put("/data/text", b"HELLO", 0);
    assert_eq!(call!(unlink("/data/sparse")), 0);
    assert_eq!(call!(rename("/data/deep", "/data/moved")), 0);
    assert_eq!(after_a_crash(&stable), Ok(before));
    // fsync of one file commits everything.
    let fd = open("/data/text", 2).unwrap();
    assert_eq!(fsync(fd), 0);
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

/// The same as [`list`], without what is different elsewhere: inodes and times.
fn list_of_contents(path: &str) -> Vec<String> {
    let words = |line: &String| {
        let words = line.split(' ').filter(|word| !word.contains(['#', '@']));
        words.collect::<Vec<_>>().join(" ")
    };
    list(path).iter().skip(1).map(words).collect()
}

/// Files that persist have what temporary ones have after the same calls, wherever their pages are.
#[test]
fn files_hold_the_same_wherever_their_pages_are() {
    let shelf = mounted("/data");
    assert_eq!(call!(mkdir("/tmp/model"; 0o755)), 0);
    let mut random = 11u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let mut open_ones: Vec<[c_int; 2]> = Vec::new();
    for step in 0..3000u32 {
        let [one, two] = [next(5), next(5)];
        let (at, n, kind) = (next(60_000) as i64, next(14_000) as usize, next(14));
        let bytes = alloc::vec![step as u8 | 1; n];
        let in_both = ["/data", "/tmp/model"].map(|base| {
            let [one, two] = [one, two].map(|name| format!("{base}/{name}"));
            match kind {
                0..5 => {
                    put(&one, &bytes, at);
                    0
                }
                5 => call!(truncate64(one; at)),
                6 => call!(unlink(one)),
                7 => call!(rename(one, two)),
                8 => open(&one, 2).unwrap_or(-1),
                _ => 0,
            }
        });
        match kind {
            8 if in_both[0] >= 0 && in_both[1] >= 0 => open_ones.push(in_both),
            8 => assert_eq!(in_both, [-1; 2]),
            9 | 10 => {
                shelf.fails_after.set((next(3) == 0).then(|| next(9) as usize));
                let _ = commit_files();
                shelf.fails_after.set(None);
            }
            11 | 12 => while keeper::evict() {},
            _ => assert_eq!(in_both[0], in_both[1], "{step}"),
        }
        // Also files that have no name any more.
        if open_ones.len() > 3 {
            let both = open_ones.swap_remove(next(4) as usize);
            let [one, two] = both.map(|fd| {
                let mut bytes = alloc::vec![0; 80_000];
                // SAFETY: so many bytes are there.
                let n = unsafe { io::pread64(fd, bytes.as_mut_ptr().cast(), 80_000, 0) };
                // SAFETY: the bytes are there.
                let written = unsafe { io::pwrite64(fd, b"text".as_ptr().cast(), 4, at) };
                table::close(fd).unwrap();
                (n, written, bytes)
            });
            assert!(one == two, "{step}");
        }
        if step % 20 == 0 {
            assert_eq!(list_of_contents("/data"), list_of_contents("/tmp/model"), "{step}");
        }
        if step % 100 == 0 {
            assert_eq!(commit_files(), Ok(()));
            let next = holding(&shelf.map.borrow());
            assert_eq!(mount_store("/next", Box::new(next)), Ok(()));
            assert_eq!(list("/next"), list("/data"), "{step}");
        }
    }
    for both in open_ones {
        both.into_iter().for_each(|fd| table::close(fd).unwrap());
    }
    for name in 0..5 {
        call!(unlink(format!("/data/{name}")));
    }
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(shelf.map.borrow().len(), 2, "nothing is left of files that are gone");
}

#[test]
fn files_may_be_larger_than_the_memory() {
    let shelf = mounted("/data");
    let others = Reserved::new(For::Files);
    let left = 100 * PAGE_COST;
    others.set(share(For::Files) - used(For::Files) - left).unwrap();
    let pages = |n: u64| [n as u8 | 1; 3 * PAGE / 2];
    for n in 0..400 {
        put("/data/large", &pages(n), (n as usize * 3 * PAGE / 2) as i64);
    }
    let commits = shelf.commits.get();
    assert!(commits < 20, "{commits} commits");
    let fd = open("/data/large", 2).unwrap();
    let mut buf = [0; 3 * PAGE / 2];
    for n in (0..400).rev() {
        // SAFETY: so many bytes are there.
        let got = unsafe {
            io::pread64(fd, buf.as_mut_ptr().cast(), buf.len(), (n as usize * buf.len()) as i64)
        };
        assert_eq!((got, buf == pages(n)), (buf.len() as isize, true), "{n}");
    }
    // What has just been read is in memory.
    let asked = shelf.asked.get();
    // SAFETY: so many bytes are there.
    unsafe { io::pread64(fd, buf.as_mut_ptr().cast(), buf.len(), 0) };
    assert_eq!(shelf.asked.get(), asked);
    // Others get their memory: what is stored gives way.
    put("/tmp/other", &[1; 90 * PAGE], 0);
    assert_eq!(call!(truncate64("/data/large"; 70_001)), 0);
    assert_eq!(call!(truncate64("/data/large"; 80_000)), 0);
    // SAFETY: so many bytes are there.
    unsafe { io::pread64(fd, buf.as_mut_ptr().cast(), 2, 70_000) };
    assert_eq!(buf[..2], [pages(70_000 / 6144)[0], 0]);
    assert_eq!((super::share(fd, 0, 4096, false).is_ok(), commit_files()), (false, Ok(())));
    assert_eq!(call!(unlink("/tmp/other")), 0);
    assert!(super::share(fd, 0, 4096, false).is_ok());
}

#[test]
fn a_store_has_room_for_so_many_pages() {
    let shelf = mounted("/data");
    shelf.room.set(Some(4));
    put("/data/a", &[1; 3 * PAGE], 0);
    put("/data/b", &[2; PAGE], 0);
    // What is there can be replaced.
    put("/data/a", &[3; 3 * PAGE], 0);
    put("/data/a", &[4; 10], PAGE as i64 + 7);
    let fd = open("/data/b", 2).unwrap();
    let write = |at| {
        // SAFETY: the bytes are there.
        let n = unsafe { io::pwrite64(fd, [5; 2 * PAGE].as_ptr().cast(), 2 * PAGE, at) };
        (n, errno::get())
    };
    assert_eq!(write(0).0, PAGE as isize);
    assert_eq!((write(PAGE as i64), shelf.map.borrow().len()), ((-1, ENOSPC), 10));
    assert_eq!(posix_fallocate64(fd, 0, 9000), ENOSPC);
    let free = || find(AT_FDCWD, b"/data", true).unwrap().node.unwrap().keeper().unwrap().room();
    assert_eq!(free(), (4, 0));
    assert_eq!(call!(truncate64("/data/a"; PAGE as i64)), 0);
    assert_eq!((write(0).0, commit_files(), free()), (2 * PAGE as isize, Ok(()), (4, 1)));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

/// Whoever waits for a page to share the file finds it in a block that another one has made.
#[test]
fn a_file_may_be_shared_while_its_pages_are_brought() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 3 * PAGE], 0);
    assert_eq!(commit_files(), Ok(()));
    while keeper::evict() {}
    let fd = open("/data/a", 2).unwrap();
    shelf.meanwhile.replace(Some(Box::new(move || {
        put("/data/a", &[7; 3 * PAGE], 0);
        assert!(super::share(fd, 0, 4096, false).is_ok());
    })));
    let at = super::share(fd, 0, 4096, false).unwrap().unwrap();
    assert!(mapped::unshare(at, 4096) && mapped::unshare(at, 4096));
    assert_eq!(ftruncate64(fd, 5 * PAGE as i64), 0);
    super::share(fd, 0, 5 * PAGE, false).unwrap();
    assert_eq!(text("/data/a"), [7; 40]);
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn what_has_changed_does_not_give_way_to_what_a_commit_allocates() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 3 * PAGE], 0);
    assert_eq!(call!(symlink("a", "/data/link")), 0);
    assert_eq!(commit_files(), Ok(()));
    let change = |byte: u8| {
        put("/data/a", &[byte; 3 * PAGE], 0);
        assert_eq!(call!(unlink("/data/link")) + call!(symlink("a", "/data/link")), 0);
    };
    change(2);
    shelf.fails_after.set(Some(1));
    assert_eq!(short_of_memory(commit_files), Err(Errno(EIO)));
    shelf.fails_after.set(None);
    assert_eq!(text("/data/a"), [2; 40]);
    change(3);
    assert_eq!(short_of_memory(commit_files), Ok(()));
    assert_eq!((text("/data/a"), text("/data/a")), ([3; 40].into(), [3; 40].into()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn what_a_mapping_has_written_does_not_give_way_while_it_is_noted() {
    let shelf = mounted("/data");
    for path in ["/data/a", "/data/b"] {
        put(path, &[1; PAGE], 0);
    }
    assert_eq!(commit_files(), Ok(()));
    let fds = ["/data/a", "/data/b"].map(|path| open(path, 2).unwrap());
    let at = fds.map(|fd| super::share(fd, 0, 9 * PAGE, true).unwrap().unwrap());
    // To look at the first one takes memory.
    assert_eq!(ftruncate64(fds[0], 9 * PAGE as i64), 0);
    for at in at {
        // SAFETY: a page of the file's block, which is mapped.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write(7) };
        assert!(mapped::unshare(at, 9 * PAGE));
    }
    assert_eq!(short_of_memory(commit_files), Ok(()));
    assert_eq!([text("/data/a")[0], text("/data/b")[0]], [7; 2]);
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn what_was_mapped_gives_its_memory_back() {
    mounted("/data");
    let before = used(For::Files);
    put("/data/a", &[1; 10 * PAGE], 0);
    let fd = open("/data/a", 2).unwrap();
    let at = super::share(fd, 0, 4096, true).unwrap().unwrap();
    // SAFETY: a page of the file's block, which is mapped.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write(7) };
    assert_eq!(commit_files(), Ok(()));
    while keeper::evict() {}
    assert!(used(For::Files) > before + 10 * PAGE, "it is mapped");
    // SAFETY: as above.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write(8) };
    assert!(mapped::unshare(at, 4096));
    while keeper::evict() {}
    assert!(used(For::Files) > before + 10 * PAGE, "it has changed");
    assert_eq!(commit_files(), Ok(()));
    while keeper::evict() {}
    assert!(used(For::Files) < before + PAGE);
    assert_eq!(text("/data/a")[..2], [8, 1]);
}

#[test]
fn a_file_may_be_cut_while_it_is_read() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 6000], 0);
    assert_eq!(commit_files(), Ok(()));
    while keeper::evict() {}
    shelf.meanwhile.replace(Some(Box::new(|| assert_eq!(call!(truncate64("/data/a"; 0)), 0))));
    assert!(text("/data/a").iter().all(|&byte| byte == 0));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!((text("/data/a"), shelf.map.borrow().len()), (Vec::new(), 4));
}

#[test]
fn a_file_may_be_closed_and_gone_while_a_commit_fails() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 6000], 0);
    assert_eq!(commit_files(), Ok(()));
    put("/data/a", b"more", 0);
    let fd = open("/data/a", 2).unwrap();
    shelf.meanwhile.replace(Some(Box::new(move || {
        assert_eq!(call!(unlink("/data/a")), 0);
        table::close(fd).unwrap();
    })));
    shelf.fails_after.set(Some(1));
    assert_eq!(commit_files(), Err(Errno(EIO)));
    shelf.fails_after.set(None);
    assert_eq!((commit_files(), shelf.map.borrow().len()), (Ok(()), 2));
}

#[test]
fn any_changes_in_any_order() {
    let shelf = mounted("/data");
    let mut random = 7u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let mut committed = list("/data");
    for step in 0..3000u32 {
        let [one, two] = [next(9), next(9)].map(|n| match n {
            n @ 0..6 => format!("/data/{n}"),
            n => format!("/data/d/{n}"),
        });
        let (at, byte) = (next(30_000) as i64, [step as u8 | 1; 5000]);
        let _ = match next(12) {
            0..4 => match open(&one, 0o102) {
                // SAFETY: the bytes are there.
                Ok(fd) => unsafe {
                    io::pwrite64(fd, byte.as_ptr().cast::<c_void>(), next(5000) as usize, at);
                    io::close(fd)
                },
                Err(_) => 0,
            },
            4 => call!(truncate64(one; at)),
            5 => call!(unlink(one)),
            6 => call!(rename(one, two)),
            7 => call!(link(one, two)),
            8 => call!(symlink("x", one)),
            9 if next(3) == 0 => call!(rename("/data/d", "/data/e")),
            9 => call!(rmdir("/data/e")) + call!(mkdir("/data/d"; 0o755)),
            10 => {
                // Some commits fail, somewhere in the middle.
                shelf.fails_after.set((next(3) == 0).then(|| next(6) as usize));
                while keeper::evict() {}
                if commit_files() == Ok(()) {
                    committed = list("/data");
                }
                shelf.fails_after.set(None);
                0
            }
            _ => 0,
        };
        if step % 50 == 0 {
            assert_eq!(after_a_crash(&shelf.map.borrow()).as_ref(), Ok(&committed), "{step}");
        }
    }
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn what_is_written_during_a_commit_is_part_of_the_next() {
    let shelf = mounted("/data");
    put("/data/a", b"one", 0);
    put("/data/b", b"gone", 0);
    let told = shelf.told.get();
    shelf.meanwhile.replace(Some(Box::new(|| {
        put("/data/a", b"two", 0);
        put("/data/c", b"new", 0);
        assert_eq!(call!(unlink("/data/b")), 0);
    })));
    assert_eq!(commit_files(), Ok(()));
    // The store hears of what came meanwhile.
    assert_eq!(shelf.told.get(), told + 1);
    let names = |list: Vec<String>| {
        list.iter().skip(1).map(|line| line[..1].into()).collect::<Vec<String>>()
    };
    assert_eq!(names(after_a_crash(&shelf.map.borrow()).unwrap()), ["a", "b"]);
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    assert_eq!(names(list("/data")), ["a", "c"]);
    assert_eq!(text("/next/a"), b"two");
}

#[test]
fn what_is_stored_is_read_while_a_commit_is_made() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 3 * PAGE], 0);
    assert_eq!(commit_files(), Ok(()));
    while keeper::evict() {}
    put("/data/b", b"new", 0);
    shelf.meanwhile.replace(Some(Box::new(|| assert_eq!(text("/data/a"), [1; 40]))));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn an_error_is_reported_until_a_commit_succeeds() {
    let shelf = mounted("/data");
    put("/data/a", b"one", 0);
    let fd = open("/data/a", 2).unwrap();
    for after in 0..4 {
        shelf.fails_after.set(Some(after));
        assert_eq!((fsync(fd), errno::get()), (-1, EIO));
        assert_eq!((syncfs(fd), errno::get()), (-1, EIO));
    }
    shelf.fails_after.set(None);
    assert_eq!((fsync(fd), fdatasync(fd)), (0, 0));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    // Nothing has changed since: the store is not asked.
    let commits = shelf.commits.get();
    assert_eq!((fsync(fd), shelf.commits.get()), (0, commits));
}

#[test]
fn what_a_failed_commit_may_have_left_is_removed() {
    let shelf = mounted("/data");
    put("/data/a", b"one", 0);
    put("/data/b", b"two", 0);
    shelf.fails_late.set(true);
    assert_eq!(commit_files(), Err(Errno(EIO)));
    assert_eq!(call!(unlink("/data/a")), 0);
    shelf.fails_late.set(true);
    // Gone while the second one is made.
    shelf.meanwhile.replace(Some(Box::new(|| assert_eq!(call!(unlink("/data/b")), 0))));
    assert_eq!(commit_files(), Err(Errno(EIO)));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    assert_eq!(shelf.map.borrow().len(), 2);
}

#[test]
fn where_nothing_may_wait_the_changes_stay_to_be_committed() {
    let shelf = mounted("/data");
    block_tests::give_strict();
    put("/data/a", b"one", 0);
    let in_a_task = super::super::block::on_main(commit_files);
    assert_eq!(in_a_task, Err(Errno(EDEADLK)));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn what_comes_and_goes_between_commits_leaves_nothing() {
    let shelf = mounted("/data");
    assert_eq!(commit_files(), Ok(()));
    let (before, commits) = (used(For::Files), shelf.commits.get());
    for n in 0..100 {
        let name = format!("/data/{n}");
        put(&name, &[1; 5000], 0);
        assert_eq!(call!(rename(name, "/data/other")), 0);
        assert_eq!(call!(unlink("/data/other")), 0);
        assert_eq!(used(For::Files), before, "a file that is gone takes no memory");
    }
    assert_eq!(commit_files(), Ok(()));
    // The directory has another time.
    assert_eq!((shelf.commits.get(), shelf.map.borrow().len()), (commits + 1, 2));
}

#[test]
fn a_file_that_is_open_without_a_name_is_not_kept() {
    let shelf = mounted("/data");
    put("/data/a", b"one", 0);
    assert_eq!(commit_files(), Ok(()));
    let fd = open("/data/a", 2).unwrap();
    assert_eq!(call!(unlink("/data/a")), 0);
    // SAFETY: the bytes are there.
    assert_eq!(unsafe { io::write(fd, b"two".as_ptr().cast(), 3) }, 3);
    assert_eq!((ftruncate64(fd, 9000), fsync(fd)), (0, 0));
    // The next domain removes it.
    let next = holding(&shelf.map.borrow());
    assert_eq!(mount_store("/next", Box::new(Rc::clone(&next))), Ok(()));
    assert_eq!((list("/next"), next.map.borrow().len()), (list("/data"), 2));
    table::close(fd).unwrap();
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(shelf.map.borrow().len(), 2);
}

#[test]
fn what_a_mapping_writes_is_committed() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 6000], 0);
    assert_eq!(commit_files(), Ok(()));
    let fd = open("/data/a", 2).unwrap();
    let at = super::share(fd, 4096, 4096, true).unwrap().unwrap();
    for text in [&b"first"[..], b"later"] {
        // SAFETY: a page of the file's block, which is mapped.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).copy_from(text.as_ptr(), 5) };
        assert_eq!(commit_files(), Ok(()));
        assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    }
    // SAFETY: as above. It is the last that the mapping does.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write(b'L') };
    assert!(mapped::unshare(at, 4096));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    let commits = shelf.commits.get();
    assert_eq!((commit_files(), shelf.commits.get()), (Ok(()), commits));
}

#[test]
fn of_a_file_that_is_mapped_a_commit_writes_what_has_changed() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 10 * PAGE], 0);
    assert_eq!(commit_files(), Ok(()));
    let fd = open("/data/a", 2).unwrap();
    let at = super::share(fd, 0, 10 * PAGE, true).unwrap().unwrap();
    let write = |byte: usize, value: u8| {
        // SAFETY: within the file's block, which is mapped.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at + byte).write(value) };
    };
    let pages_put = || {
        let before = shelf.put.get();
        assert_eq!(commit_files(), Ok(()));
        assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
        shelf.put.get() - before
    };
    assert_eq!(pages_put(), 0);
    write(3 * PAGE + 7, 2);
    assert_eq!(pages_put(), 1);
    // The block of a file that has grown has what the old one had, also what nobody has looked at.
    write(5 * PAGE, 3);
    assert!(mapped::unshare(at, 10 * PAGE));
    let larger = super::share(fd, 0, 12 * PAGE, true).unwrap().unwrap();
    assert_eq!(pages_put(), 1);
    assert!(mapped::unshare(larger, 12 * PAGE));
}

#[test]
fn what_a_mapping_takes_back_after_a_commit_has_stored_it_is_stored_again() {
    let shelf = mounted("/data");
    put("/data/a", &[1; PAGE], 0);
    assert_eq!(commit_files(), Ok(()));
    let fd = open("/data/a", 2).unwrap();
    let at = super::share(fd, 0, PAGE, true).unwrap().unwrap();
    let write = move |value: u8| {
        // SAFETY: within the file's block, which is mapped.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write(value) };
    };
    write(2);
    // The directory changes too, and is stored before the file: when this happens, that was only looked at.
    put("/data/b", b"", 0);
    shelf.meanwhile.replace(Some(Box::new(move || write(3))));
    assert_eq!(commit_files(), Ok(()));
    write(2);
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    assert!(mapped::unshare(at, PAGE));
}

#[test]
fn pages_that_a_mapping_may_write_have_room_or_it_is_refused() {
    let shelf = mounted("/data");
    shelf.room.set(Some(4));
    let fd = open("/data/a", 0o102).unwrap();
    assert_eq!(ftruncate64(fd, 5 * PAGE as i64), 0);
    assert_eq!(super::share(fd, 0, 5 * PAGE, true), Err(ENOSPC));
    assert_eq!(ftruncate64(fd, 3 * PAGE as i64), 0);
    let at = super::share(fd, 0, 3 * PAGE, true).unwrap().unwrap();
    let other = open("/data/b", 0o102).unwrap();
    // SAFETY: the bytes are there.
    let write = |n| unsafe { io::pwrite64(other, [5; 2 * PAGE].as_ptr().cast(), n, 0) };
    assert_eq!(write(2 * PAGE), PAGE as isize);
    assert!(mapped::unshare(at, 3 * PAGE));
}

#[test]
fn a_file_that_has_just_been_written_has_its_room_once() {
    let shelf = mounted("/data");
    shelf.room.set(Some(5));
    put("/data/a", &[1; 4 * PAGE], 0);
    let fd = open("/data/a", 2).unwrap();
    let at = super::share(fd, 0, 4 * PAGE, true).unwrap().unwrap();
    assert_eq!(super::share(fd, 0, 6 * PAGE, true), Err(ENOSPC));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    assert!(mapped::unshare(at, 4 * PAGE));
}

#[test]
fn pages_are_counted_again_after_an_error_that_came_too_late() {
    let shelf = mounted("/data");
    shelf.room.set(Some(100));
    put("/data/a", &[1; 3 * PAGE], 0);
    put("/data/b", &[2; 2 * PAGE], 0);
    shelf.fails_late.set(true);
    assert_eq!(commit_files(), Err(Errno(EIO)));
    assert_eq!(call!(unlink("/data/b")), 0);
    put("/data/c", b"new", 0);
    assert_eq!(commit_files(), Ok(()));
    let node = |path: &str| find(AT_FDCWD, path.as_bytes(), true).unwrap().node.unwrap();
    // If that fails, the numbers are those of before.
    put("/data/a", b"one", 0);
    shelf.fails_late.set(true);
    shelf.hides_keys.set(true);
    for _ in 0..2 {
        assert_eq!(commit_files(), Err(Errno(EIO)));
        let Kind::Written(contents) = &node("/data/a").kind else { panic!("a file") };
        assert_eq!(contents.stored(), 3);
    }
    shelf.hides_keys.set(false);
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(node("/data").keeper().unwrap().room(), (100, 96));
    let Kind::Written(contents) = &node("/data/a").kind else { panic!("a file") };
    assert_eq!(contents.stored(), 3);
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn a_mapping_that_is_read_may_be_written_later() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 6000], 0);
    assert_eq!(commit_files(), Ok(()));
    let fd = open("/data/a", 2).unwrap();
    let at = super::share(fd, 4096, 1000, false).unwrap().unwrap();
    let commits = shelf.commits.get();
    assert_eq!((commit_files(), shelf.commits.get()), (Ok(()), commits));
    // What `mprotect` does.
    mapped::write(at + 4096, 4096);
    assert_eq!((commit_files(), shelf.commits.get()), (Ok(()), commits));
    mapped::write(at, 1);
    // SAFETY: a page of the file's block, which is mapped.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write(7) };
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    assert!(mapped::unshare(at, 1000));
}

#[test]
fn what_lies_behind_the_end_is_not_kept() {
    let shelf = mounted("/data");
    put("/data/a", &[1; 6000], 0);
    let fd = open("/data/a", 2).unwrap();
    let at = super::share(fd, 4096, 4096, true).unwrap().unwrap();
    // SAFETY: a page of the file's block, which is mapped.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).add(3000).write(7) };
    assert_eq!(commit_files(), Ok(()));
    assert!(mapped::unshare(at, 4096));
    assert_eq!((commit_files(), ftruncate64(fd, 9000)), (Ok(()), 0));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
    // The file grows while it is committed.
    put("/data/b", &[1; 100], 0);
    shelf.meanwhile.replace(Some(Box::new(|| put("/data/b", &[2; 100], 100))));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(shelf.map.borrow()[&Key::Page(3, 0).emit()], [1; 100]);
}

#[test]
fn names_lead_to_nothing_on_another_device() {
    mounted("/data");
    put("/data/a", b"one", 0);
    put("/tmp/b", b"two", 0);
    for (from, to) in [("/data/a", "/tmp/a"), ("/tmp/b", "/data/b")] {
        assert_eq!((call!(rename(from, to)), call!(link(from, to))), (-EXDEV, -EXDEV));
    }
    assert_eq!(mount_store("/", Box::new(Rc::new(Shelf::default()))), Err(Errno(EBUSY)));
}

#[test]
fn a_commit_does_not_wait_for_itself() {
    let shelf = mounted("/data");
    put("/data/a", b"one", 0);
    // As when a task ends the program while the main stack waits for the disk.
    let commit = || assert_eq!(commit_files(), Err(Errno(EDEADLK)));
    shelf.meanwhile.replace(Some(Box::new(commit)));
    assert_eq!(commit_files(), Ok(()));
    assert_eq!(after_a_crash(&shelf.map.borrow()), Ok(list("/data")));
}

#[test]
fn the_name_of_a_socket_ends_with_the_domain() {
    let shelf = mounted("/data");
    assert_eq!(commit_files(), Ok(()));
    let files = shelf.map.borrow().len();
    super::SocketPlace::of(b"/data/socket").unwrap().put(Weak::new()).unwrap();
    assert_eq!(call!(rename("/data/socket", "/data/other")), 0);
    assert_eq!((commit_files(), shelf.map.borrow().len()), (Ok(()), files));
}
