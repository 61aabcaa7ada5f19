//! An image that uses a disk, called `data`. Its first argument names the case; each ends with a line of
//! its own, or the domain with a panic.

mod bench;

use mirust::block::{self, Buffer, Disk, Error};
use mirust::suspend::{Resumed, on_resume, on_suspend};
use mirust::time::{Duration, sleep};
use std::cell::Cell;
use std::rc::Rc;

mirust::main!(run);

const MIB: u64 = 1 << 20;

async fn run() -> i32 {
    let options = block::Options {
        persistent: mirust::args().iter().any(|arg| arg == "persistent"),
        ..block::Options::default()
    };
    let disk = block::open_with("data", options).expect("a name that a disk can have");
    disk.ready().await.expect("connected");
    match mirust::args().get(1).map(String::as_str) {
        Some("copy") => copy(&disk).await,
        Some("hold") => hold(&disk).await,
        Some("read-only") => read_only(&disk).await,
        Some("full") => full(&disk).await,
        Some("bad") => bad(&disk).await,
        Some("resize") => resize(&disk).await,
        Some("shrink") => shrink(&disk).await,
        Some("bench") => bench::all(&disk).await,
        other => panic!("no such case: {other:?}"),
    }
    disk.close();
    0
}

/// Copies the first 4 MiB behind themselves, and writes numbered sectors behind that: at any alignment
/// that memory can have, in small pieces and in large ones.
async fn copy(disk: &Disk) {
    let large = disk.read(0, Buffer::new(4 * MIB as usize).unwrap()).await.unwrap();
    disk.write(4 * MIB, large).await.unwrap();
    // Several at once, so that neighbours meet.
    let tasks: Vec<_> = (0..2048u64)
        .map(|n| {
            let disk = disk.clone();
            mirust::spawn(async move {
                let line = format!("{n:0511}\n");
                disk.write_at(8 * MIB + 512 * n, line.as_bytes()).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut odd = vec![0; 100_001];
    disk.read_at(8 * MIB + 77, &mut odd).await.unwrap();
    for (n, byte) in odd.iter().enumerate() {
        let at = 77 + n;
        let line = format!("{:0511}\n", at / 512);
        assert_eq!(*byte, line.as_bytes()[at % 512], "byte {at}");
    }
    disk.zero(9 * MIB, MIB).await.unwrap();
    match disk.discard(10 * MIB, MIB, false).await {
        Ok(()) => println!("discarded"),
        Err(Error::Unsupported) => println!("no discard here"),
        Err(error) => panic!("{error}"),
    }
    disk.flush().await.unwrap();
    let counters = disk.counters();
    println!("{counters:?}");
    // What was handed over in one turn went out together.
    assert!(
        counters.notifications < counters.writes / 4,
        "{} notifications",
        counters.notifications
    );
    println!("copied");
}

/// Writes and reads, with a record of what every block should hold, until the domain is asked to end: also
/// while the disk goes and comes back.
async fn hold(disk: &Disk) {
    const WORKERS: u64 = 8;
    const BLOCKS: u64 = 64;
    let asked_at = Rc::new(Cell::new(mirust::time::now()));
    let now = asked_at.clone();
    on_suspend(async move || now.set(mirust::time::now()));
    on_resume(async move |Resumed { away, cancelled }| {
        let by_monotonic = mirust::time::now().duration_since(asked_at.get()).as_millis();
        let place = if cancelled { "here" } else { "elsewhere" };
        let away = away.as_millis();
        println!("back: away {away} ms, monotonic {by_monotonic} ms, {place}");
    });
    println!("holding");
    let over = Rc::new(Cell::new(false));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (disk, over) = (disk.clone(), over.clone());
            mirust::spawn(async move {
                let mut known = [0; BLOCKS as usize];
                let mut round = 1u64;
                while !over.get() {
                    let block = (round * 7 + worker) % BLOCKS;
                    let at = (worker * BLOCKS + block) * 4096;
                    disk.write_at(at, &stamped(worker, block, round)).await.unwrap();
                    known[block as usize] = round;
                    if round % 16 == 0 {
                        disk.flush().await.unwrap();
                    }
                    let other = (round * 5) % BLOCKS;
                    check(&disk, worker, other, known[other as usize]).await;
                    round += 1;
                    sleep(Duration::from_millis(2)).await;
                }
                for (block, round) in known.iter().enumerate() {
                    check(&disk, worker, block as u64, *round).await;
                }
                round
            })
        })
        .collect();
    mirust::shutdown_requested().await;
    over.set(true);
    let mut rounds = 0;
    for worker in workers {
        rounds += worker.await.unwrap();
    }
    let counters = disk.counters();
    println!(
        "held: {rounds} rounds, {} connections, {} issued again, {} lies",
        counters.connections, counters.reissued, counters.lies
    );

    async fn check(disk: &Disk, worker: u64, block: u64, round: u64) {
        if round > 0 {
            let mut back = vec![0; 4096];
            disk.read_at((worker * BLOCKS + block) * 4096, &mut back).await.unwrap();
            assert!(back == stamped(worker, block, round), "block {block} of worker {worker}");
        }
    }

    fn stamped(worker: u64, block: u64, round: u64) -> Vec<u8> {
        let word = worker << 56 | block << 48 | round;
        (0..512u64).flat_map(|n| (word ^ n << 32).to_le_bytes()).collect()
    }
}

async fn read_only(disk: &Disk) {
    assert!(disk.info().read_only);
    assert_eq!(disk.write_at(0, &[1; 512]).await, Err(Error::ReadOnly));
    assert_eq!(disk.zero(0, 512).await, Err(Error::ReadOnly));
    let mut line = [0; 12];
    disk.read_at(0, &mut line).await.unwrap();
    println!("read-only: {}", String::from_utf8_lossy(&line).trim());
}

/// The storage behind the disk has less room than the disk says.
async fn full(disk: &Disk) {
    let (mut written, mut failed) = (0, 0);
    for n in 0..disk.len() / MIB {
        match disk.write_at(n * MIB, &vec![n as u8 + 1; MIB as usize]).await {
            Ok(()) => written += 1,
            Err(Error::Io) => failed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let mut back = vec![0; 4096];
    disk.read_at(0, &mut back).await.unwrap();
    assert!(back.iter().all(|byte| *byte == 1));
    assert!(written > 0 && failed > 0, "{written} written, {failed} failed");
    println!("full: errors are told");
}

/// The disk's second mebibyte cannot be read or written. What is asked for at once is merged into few requests, and
/// each of these may touch it.
async fn bad(disk: &Disk) {
    const BLOCK: u64 = 64 << 10;
    assert_eq!(disk.info().sector_size, 4096);
    assert_eq!(disk.write(512, Buffer::new(4096).unwrap()).await.err(), Some(Error::Misaligned));
    let is_bad = |n: u64| (MIB..2 * MIB).contains(&(n * BLOCK));
    for round in 0..2 {
        let tasks: Vec<_> = (0..4 * MIB / BLOCK)
            .map(|n| {
                let disk = disk.clone();
                mirust::spawn(async move {
                    let mut block = vec![n as u8 + 1; BLOCK as usize];
                    if round == 0 {
                        return disk.write_at(n * BLOCK, &block).await;
                    }
                    block.fill(0);
                    disk.read_at(n * BLOCK, &mut block).await.inspect(|()| {
                        assert!(block.iter().all(|byte| *byte == n as u8 + 1), "block {n}");
                    })
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            let expected = if is_bad(n as u64) { Err(Error::Io) } else { Ok(()) };
            assert_eq!(task.await.unwrap(), expected, "block {n}, round {round}");
        }
    }
    disk.flush().await.unwrap();
    println!("bad: only those who asked for it were told");
}

/// The disk grows.
async fn resize(disk: &Disk) {
    let before = disk.len();
    assert_eq!(disk.read_at(before, &mut [0; 512]).await, Err(Error::OutOfRange));
    println!("size {before}");
    while disk.len() == before {
        sleep(Duration::from_millis(20)).await;
    }
    disk.read_at(before, &mut [0; 512]).await.unwrap();
    println!("size {} now", disk.len());
}

/// The disk shrinks: what was cut off is an error, and nothing else is.
async fn shrink(disk: &Disk) {
    let before = disk.len();
    println!("size {before}");
    while disk.len() == before {
        // The other end looks when it has something to do. Until it has, the old end may be read or fail.
        match disk.read_at(before - 512, &mut [0; 512]).await {
            Ok(()) | Err(Error::Io | Error::OutOfRange) => {}
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
    let now = disk.len();
    assert_eq!(disk.read_at(before - 512, &mut [0; 512]).await, Err(Error::OutOfRange));
    assert_eq!(disk.write_at(now, &[0; 512]).await, Err(Error::OutOfRange));
    disk.read_at(now - 512, &mut [0; 512]).await.unwrap();
    disk.write_at(0, &[7; 512]).await.unwrap();
    disk.flush().await.unwrap();
    println!("size {now} now");
}
