//! Files of a disk through `mirust::fs`, also of one that fails, shrinks or is closed meanwhile.

use mirust::block::{Counters, Device, Disk, Error, Info, State};
use mirust::fs::{Files, Kind};
use mirust_rt::block::Io;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::rc::Rc;
use std::slice;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

/// What `rust-rt/files/tests/small.sh` makes.
const SMALL: &[u8] = include_bytes!("../../../rust-rt/files/tests/small.erofs");

/// A disk that can be read, and answers at once.
struct Medium {
    bytes: RefCell<Vec<u8>>,
    fails: Cell<bool>,
    closed: Cell<bool>,
}

impl Medium {
    fn new() -> Rc<Medium> {
        let bytes = RefCell::new(SMALL.to_vec());
        Rc::new(Medium { bytes, fails: Cell::new(false), closed: Cell::new(false) })
    }
}

impl Device for Medium {
    fn info(&self) -> Info {
        let state = if self.closed.get() { State::Closed } else { State::Up };
        let sectors = (self.bytes.borrow().len() / 512) as u64;
        Info { state, sectors, read_only: true, transfer_max: 1 << 20, ..Info::NONE }
    }

    unsafe fn submit(&self, io: Io) {
        let mut result = self.info().check(&io);
        if self.fails.get() {
            result = Err(Error::Io);
        }
        if result.is_ok() {
            let mut at = io.sector as usize * 512;
            for piece in &io.memory {
                // SAFETY: memory of a request that has not ended is valid, and only the disk uses it.
                let out = unsafe { slice::from_raw_parts_mut(piece.addr.as_ptr(), piece.len) };
                out.copy_from_slice(&self.bytes.borrow()[at..at + piece.len]);
                at += piece.len;
            }
        }
        (io.done)(result, io.buffer);
    }

    fn on_change(&self, _: &Waker) {}

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn close(&self) {
        self.closed.set(true);
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the disk answers at once"),
    }
}

fn kind<T>(result: io::Result<T>) -> Result<T, ErrorKind> {
    result.map_err(|error| error.kind())
}

#[test]
fn files_are_read_as_std_reads_them() {
    run(async {
        let files = Files::of(Disk::new(Medium::new())).await.unwrap();
        assert_eq!(files.read_to_string("/hello.txt").await.unwrap(), "Hello, files\n");
        assert_eq!(files.read("abs").await.unwrap(), [b'L'; 1300]);
        let file = files.open("sub/deeper/long.bin").await.unwrap();
        assert_eq!(file.len(), 1300);
        assert_eq!(file.read_part(1290, 100).await.unwrap(), [b'L'; 10]);
        assert_eq!(file.read_at(5000, &mut [0; 4]).await.unwrap(), 0);
        let about = files.metadata("sub/up").await.unwrap();
        assert_eq!((about.kind(), about.len(), about.mode()), (Kind::File, 13, 0o644));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(981_173_106);
        assert_eq!(about.modified(), time);
        assert_eq!(files.symlink_metadata("sub/up").await.unwrap().kind(), Kind::Link);
        assert_eq!(files.read_link("sub/up").await.unwrap().to_str(), Some("../hello.txt"));
        let names = files.read_dir("sub").await.unwrap();
        let names: Vec<_> =
            names.iter().map(|entry| (entry.name.to_str().unwrap(), entry.kind)).collect();
        assert_eq!(names, [("deeper", Kind::Directory), ("up", Kind::Link), ("x", Kind::File)]);
        for (path, expected) in [
            ("none", ErrorKind::NotFound),
            ("sub", ErrorKind::IsADirectory),
            ("hello.txt/x", ErrorKind::NotADirectory),
        ] {
            assert_eq!(kind(files.read(path).await), Err(expected), "{path}");
        }
        assert_eq!(kind(files.read_link("hello.txt").await), Err(ErrorKind::InvalidInput));
    });
}

#[test]
fn what_the_disk_does_not_give_is_an_error() {
    let medium = Medium::new();
    let disk = Rc::<Medium>::clone(&medium);
    run(async {
        let files = Files::of(Disk::new(disk)).await.unwrap();
        let file = files.open("sub/deeper/long.bin").await.unwrap();
        medium.fails.set(true);
        assert_eq!(kind(file.read_part(0, 1024).await), Err(ErrorKind::Other));
        // A request that failed is no answer for the next.
        medium.fails.set(false);
        assert_eq!(file.read_part(0, 1024).await.unwrap(), [b'L'; 1024]);
        // The disk shrinks.
        medium.bytes.borrow_mut().truncate(1024);
        assert_eq!(kind(file.read_part(0, 1024).await), Err(ErrorKind::Other));
        assert_eq!(kind(Files::of(files.disk().clone()).await.map(drop)), Err(ErrorKind::Other));
        // There is another one.
        *medium.bytes.borrow_mut() = vec![0; 65536];
        assert_eq!(
            kind(Files::of(files.disk().clone()).await.map(drop)),
            Err(ErrorKind::InvalidData)
        );
        files.disk().close();
        let error = Files::of(files.disk().clone()).await.unwrap_err();
        assert!(error.to_string().contains("closed"), "{error}");
    });
}

#[test]
fn code_that_blocks_has_the_same_disk() {
    let medium = Medium::new();
    let disk = mirust::block::blocking::Disk::of(Disk::new(Rc::<Medium>::clone(&medium)));
    assert_eq!(disk.len().unwrap(), SMALL.len() as u64);
    let mut bytes = [0; 700];
    disk.read_at(100, &mut bytes).unwrap();
    assert_eq!(bytes, SMALL[100..800]);
    assert_eq!(
        kind(disk.read_at(SMALL.len() as u64 - 1, &mut [0; 2])),
        Err(ErrorKind::UnexpectedEof)
    );
    assert_eq!(kind(disk.write_at(0, &[0; 512])), Err(ErrorKind::ReadOnlyFilesystem));
    assert_eq!(kind(disk.zero(0, 100)), Err(ErrorKind::InvalidInput));
    medium.fails.set(true);
    assert_eq!(kind(disk.read_at(0, &mut bytes)), Err(ErrorKind::Other));
    medium.fails.set(false);
    // In a Linux process, where threads are not the domain's, another one gets an error.
    std::thread::scope(|scope| {
        let other = scope.spawn(|| disk.flush().unwrap_err().to_string());
        assert!(other.join().unwrap().contains("the domain's thread"));
    });
    disk.flush().unwrap();
}
