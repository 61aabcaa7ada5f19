//! A file as a disk of the Linux process. One thread owns the domain, so there is no harness.

use mirust_block::{Buffer, Disk, Error, Fragment, Io, Op};
use mirust_executor::{domain, time::Duration};
use mirust_unix::{Fd, disk as file};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    io::{Read, Write},
    os::{fd::IntoRawFd, unix::net::UnixStream},
    path::Path,
    process::Command,
    ptr::{self, NonNull},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Wake, Waker},
};

/// What has been logged.
static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Logged;

impl log::Log for Logged {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        *LOGGED.lock().unwrap() += &format!("{}\n", record.args());
    }

    fn flush(&self) {}
}

/// The process's allocator, which has no memory for buffers while it is told so.
struct Allocator;

static REFUSE: AtomicBool = AtomicBool::new(false);

// SAFETY: the system's.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if REFUSE.load(Relaxed) && layout.align() >= 4096 {
            return ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, addr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(addr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const MIB: usize = 1 << 20;

fn main() {
    log::set_logger(&Logged).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let dir = std::env::temp_dir().join(format!("mirust-disk-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    for (name, case) in CASES {
        println!("disk: {name}");
        let path = dir.join(name);
        fs::write(&path, vec![0; 8 * MIB]).unwrap();
        case(&path);
    }
    fs::remove_dir_all(&dir).unwrap();
}

type Case = fn(&Path);

const CASES: &[(&str, Case)] = &[
    ("what_is_written_is_in_the_file", what_is_written_is_in_the_file),
    ("memory_of_any_alignment", memory_of_any_alignment),
    ("without_memory_for_a_copy_a_request_ends", without_memory_for_a_copy_a_request_ends),
    ("many_requests_at_once", many_requests_at_once),
    ("loop_goes_on_while_the_disk_works", loop_goes_on_while_the_disk_works),
    ("descriptors_and_timers_while_the_disk_works", descriptors_and_timers_while_the_disk_works),
    ("discard_and_zeros", discard_and_zeros),
    ("read_only_file", read_only_file),
    ("what_cannot_be_is_refused", what_cannot_be_is_refused),
    ("dropped_futures", dropped_futures),
    ("shrunk_file", shrunk_file),
    ("two_on_one_file_are_refused", two_on_one_file_are_refused),
    ("closed", closed),
];

fn open(path: &Path) -> Disk {
    Disk::new(file::open(path.to_str().unwrap()).expect("io_uring, and a file"))
}

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|n| (n / 7) as u8 ^ seed).collect()
}

fn what_is_written_is_in_the_file(path: &Path) {
    let disk = open(path);
    let data = pattern(3 * MIB + 4096, 1);
    domain::block_on(async {
        assert_eq!(disk.ready().await.unwrap().sectors, 8 * MIB as u64 / 512);
        disk.write_at(4096, &data).await.unwrap();
        disk.flush().await.unwrap();
        let mut back = vec![0; 1000];
        disk.read_at(5000, &mut back).await.unwrap();
        assert_eq!(back, data[904..1904]);
    });
    assert!(fs::read(path).unwrap()[4096..4096 + data.len()] == data);
    let counters = disk.counters();
    assert_eq!((counters.writes, counters.flushes, counters.reads), (1, 1, 1));
    assert_eq!(counters.copied, 0, "a buffer is aligned");
}

/// How a request of these places in memory ends, if it does.
///
/// # Safety
///
/// They are valid, and nobody looks at them before this returns.
unsafe fn request(
    disk: &Disk,
    op: Op,
    at: u64,
    memory: Vec<Fragment>,
) -> Option<Result<(), Error>> {
    let done = Rc::new(Cell::new(None));
    let told = done.clone();
    let io = Io {
        op,
        sector: at / 512,
        sectors: memory.iter().map(|fragment| fragment.len as u64).sum::<u64>() / 512,
        memory,
        buffer: None,
        done: Box::new(move |result, _| told.set(Some(result))),
    };
    // SAFETY: promised by the caller.
    unsafe { disk.device().submit(io) };
    let ended = async {
        while done.get().is_none() {
            domain::yield_now().await;
        }
    };
    let _ = domain::block_on(domain::timeout(Duration::from_secs(10), ended));
    done.get()
}

fn memory_of_any_alignment(path: &Path) {
    let disk = open(path);
    let unit = disk.info().sector_size as usize;
    let mut memory = pattern(40 * 4096, 3);
    let pieces = [(1, unit), (unit + 2, 4 * unit), (20_001, 2 * unit)];
    let before = memory.clone();
    for op in [Op::Write, Op::Read] {
        let base = NonNull::from(&mut memory[..]).cast::<u8>();
        let fragment = |(at, len)| Fragment {
            // SAFETY: inside the vector.
            addr: unsafe { base.add(at) },
            len,
            alone: false,
        };
        let fragments = pieces.into_iter().map(fragment).collect();
        // SAFETY: the vector stays, and is not looked at before the end.
        assert_eq!(unsafe { request(&disk, op, unit as u64, fragments) }, Some(Ok(())));
        assert!(memory == before);
        for (at, len) in pieces {
            if op == Op::Write {
                memory[at..at + len].fill(0);
            }
        }
    }
    let bytes: Vec<u8> =
        pieces.iter().flat_map(|(at, len)| before[*at..at + len].to_vec()).collect();
    assert!(fs::read(path).unwrap()[unit..8 * unit] == bytes);
}

fn without_memory_for_a_copy_a_request_ends(path: &Path) {
    let disk = open(path);
    let mut memory = vec![0u8; 3 * MIB + 1];
    let addr = NonNull::from(&mut memory[1..]).cast();
    let fragments = vec![Fragment { addr, len: 3 * MIB, alone: false }];
    REFUSE.store(true, Relaxed);
    // SAFETY: as above.
    let result = unsafe { request(&disk, Op::Write, 0, fragments) };
    REFUSE.store(false, Relaxed);
    assert_eq!(result, Some(Err(Error::NoMemory)));
    assert_eq!(domain::block_on(disk.write_at(0, &memory[1..])), Ok(()));
}

fn many_requests_at_once(path: &Path) {
    let disk = open(path);
    domain::block_on(async {
        let writes: Vec<_> = (0..1000u64)
            .map(|n| {
                let disk = disk.clone();
                domain::spawn(async move {
                    disk.write_at(n * 4096, &pattern(4096, n as u8)).await.unwrap();
                    let mut back = vec![0; 4096];
                    disk.read_at(n * 4096, &mut back).await.unwrap();
                    assert!(back == pattern(4096, n as u8));
                })
            })
            .collect();
        for write in writes {
            write.await.unwrap();
        }
        disk.flush().await.unwrap();
    });
    let file = fs::read(path).unwrap();
    for n in 0..1000 {
        assert!(file[n * 4096..][..4096] == pattern(4096, n as u8));
    }
}

fn loop_goes_on_while_the_disk_works(path: &Path) {
    let disk = open(path);
    domain::block_on(async {
        let turns = Rc::new(Cell::new(0));
        let (count, flag) = (turns.clone(), Rc::new(Cell::new(false)));
        let over = flag.clone();
        let ticker = domain::spawn(async move {
            while !over.get() {
                count.set(count.get() + 1);
                domain::yield_now().await;
            }
        });
        for _ in 0..20 {
            disk.write_at(0, &pattern(MIB, 1)).await.unwrap();
            disk.flush().await.unwrap();
        }
        flag.set(true);
        ticker.await.unwrap();
        assert!(turns.get() > 20, "{} turns", turns.get());
    });
}

/// The loop waits for the disks in another place than for all else: neither may be missed, whoever comes first.
fn descriptors_and_timers_while_the_disk_works(path: &Path) {
    const LINES: u8 = 200;
    let disk = open(path);
    let (here, mut there) = UnixStream::pair().unwrap();
    // SAFETY: just taken from its owner.
    let here = unsafe { Fd::from_raw_fd(here.into_raw_fd()) }.unwrap();
    // Another thread answers, so that the domain has to wait for each byte.
    let echo = std::thread::spawn(move || {
        let mut byte = [0];
        while there.read(&mut byte).unwrap() > 0 {
            std::thread::sleep(std::time::Duration::from_micros(50));
            there.write_all(&byte).unwrap();
        }
    });
    domain::block_on(async {
        let over = Rc::new(Cell::new(false));
        let flag = over.clone();
        let readers: Vec<_> = (0..4u64)
            .map(|n| {
                let (disk, over) = (disk.clone(), over.clone());
                domain::spawn(async move {
                    let mut buffer = Buffer::new(4096).unwrap();
                    let mut reads = 0;
                    while !over.get() {
                        buffer = disk.read(n * 4096, buffer).await.unwrap();
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for line in 0..LINES {
            let mut byte = [line];
            assert_eq!(here.write(&byte).await.unwrap(), 1);
            assert_eq!(here.read(&mut byte).await.unwrap(), 1);
            assert_eq!(byte, [line]);
            domain::sleep(Duration::from_micros(20)).await;
        }
        flag.set(true);
        for reader in readers {
            assert!(reader.await.unwrap() > 0);
        }
        // With nothing on its way in the disk, the loop waits where it did before.
        here.write(&[LINES]).await.unwrap();
        assert_eq!(here.read(&mut [0]).await.unwrap(), 1);
        drop(here);
    });
    echo.join().unwrap();
}

fn discard_and_zeros(path: &Path) {
    fs::write(path, vec![7; 8 * MIB]).unwrap();
    let disk = open(path);
    domain::block_on(async {
        disk.zero(4096, 5 * MIB as u64 / 2).await.unwrap();
        match disk.discard(4 * MIB as u64, MIB as u64, false).await {
            Ok(()) => {
                let mut back = vec![1; MIB];
                disk.read_at(4 * MIB as u64, &mut back).await.unwrap();
                assert!(back.iter().all(|byte| *byte == 0), "holes are zeros");
            }
            // Not every filesystem has holes.
            Err(Error::Unsupported) => assert!(disk.info().discard.is_none()),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(disk.discard(0, 4096, true).await, Err(Error::Unsupported));
    });
    let file = fs::read(path).unwrap();
    assert!(file[4096..4096 + 5 * MIB / 2].iter().all(|byte| *byte == 0));
    assert!(file[..4096].iter().chain(&file[5 * MIB..]).all(|byte| *byte == 7));
}

fn read_only_file(path: &Path) {
    // Root may write everything that has a mode; nobody writes to what is mounted so.
    let Ok(true) = Command::new("chattr").arg("+i").arg(path).status().map(|s| s.success()) else {
        println!("  not run: there is no chattr here");
        return;
    };
    let disk = open(path);
    let info = disk.info();
    let result = domain::block_on(disk.write_at(0, &[0; 4096]));
    let read = domain::block_on(disk.read_at(0, &mut [0; 4096]));
    assert!(Command::new("chattr").arg("-i").arg(path).status().unwrap().success());
    assert!(info.read_only);
    assert_eq!((result, read), (Err(Error::ReadOnly), Ok(())));
}

fn what_cannot_be_is_refused(path: &Path) {
    let disk = open(path);
    let end = 8 * MIB as u64;
    domain::block_on(async {
        assert_eq!(disk.write_at(1, &[0; 4096]).await, Err(Error::Misaligned));
        assert_eq!(disk.write_at(0, &[0; 100]).await, Err(Error::Misaligned));
        assert_eq!(disk.write_at(end, &[0; 4096]).await, Err(Error::OutOfRange));
        assert_eq!(disk.read_at(end - 1, &mut [0; 2]).await, Err(Error::OutOfRange));
        assert_eq!(disk.read_at(end - 1, &mut [0; 1]).await, Ok(()));
    });
    assert!(file::open("/nonexistent/disk").is_err());
    assert!(file::open("/dev/null").is_err());
    assert!(file::open("nul\0byte").is_err());
}

fn dropped_futures(path: &Path) {
    let disk = open(path);
    domain::block_on(async {
        for n in 0..50 {
            let buffer = Buffer::new(MIB).unwrap();
            let limit = std::time::Duration::from_micros(n);
            let _ = domain::timeout(limit, disk.read(0, buffer)).await;
            let _ = domain::timeout(limit, disk.write_at(0, &pattern(MIB, 9))).await;
        }
        disk.flush().await.unwrap();
        let mut back = vec![0; MIB];
        disk.read_at(0, &mut back).await.unwrap();
        assert!(back == pattern(MIB, 9), "the flush has waited for them");
    });
}

fn shrunk_file(path: &Path) {
    let disk = open(path);
    fs::File::options().write(true).open(path).unwrap().set_len(MIB as u64).unwrap();
    domain::block_on(async {
        assert_eq!(disk.read_at(2 * MIB as u64, &mut [0; 4096]).await, Err(Error::Io));
        assert_eq!(disk.read_at(0, &mut [0; 4096]).await, Ok(()));
    });
    let logged = LOGGED.lock().unwrap();
    assert!(logged.contains("shrunk_file: the file cannot be read: it has been cut"), "{logged}");
}

fn two_on_one_file_are_refused(path: &Path) {
    let disk = open(path);
    let error = file::open(path.to_str().unwrap()).err().expect("the file is in use");
    assert!(error.to_string().contains("somebody else uses it"), "{error}");
    domain::block_on(disk.write_at(0, &[7; 4096])).unwrap();
    // When it is closed, the next one may.
    disk.close();
    let disk = open(path);
    let mut back = [0];
    domain::block_on(disk.read_at(0, &mut back)).unwrap();
    assert_eq!(back, [7]);
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn closed(path: &Path) {
    let disk = open(path);
    let woken = Arc::new(Woken::default());
    // A task that is polled twice asks twice, and is woken once.
    for _ in 0..2 {
        disk.device().on_change(&Waker::from(woken.clone()));
    }
    disk.close();
    assert_eq!(woken.0.load(Relaxed), 1);
    domain::block_on(async {
        assert_eq!(disk.read_at(0, &mut [0; 512]).await, Err(Error::Closed));
        assert_eq!(disk.flush().await, Err(Error::Closed));
    });
}
