//! Throughput, and requests per second.

use crate::MIB;
use mirust::block::{Buffer, Counters, Disk};
use mirust::time::{Duration, now};
use std::cell::Cell;
use std::rc::Rc;

/// How long each kind of request is made: the second argument's seconds, or four.
fn time() -> Duration {
    let seconds = mirust::args().get(2).and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// All kinds of requests, or the one that the third argument names.
pub async fn all(disk: &Disk) {
    let only = mirust::args().get(3).filter(|arg| !arg.starts_with("--")).cloned();
    for (name, write, size, depth, random) in [
        ("sequential read of 1 MiB, depth 4", false, MIB, 4, false),
        ("sequential write of 1 MiB, depth 4", true, MIB, 4, false),
        ("random read of 4 KiB, depth 1", false, 4096, 1, true),
        ("random write of 4 KiB, depth 1", true, 4096, 1, true),
        ("random read of 4 KiB, depth 32", false, 4096, 32, true),
        ("random write of 4 KiB, depth 32", true, 4096, 32, true),
    ] {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let before = disk.counters();
        let (count, seconds) = run(disk, write, size, depth, random).await;
        let after = disk.counters();
        let per = |f: fn(&Counters) -> u64| (f(&after) - f(&before)) as f64 / count as f64;
        let rate = if random {
            format!("{:.0} requests/s", count as f64 / seconds)
        } else {
            format!("{:.0} MiB/s", count as f64 * (size / MIB) as f64 / seconds)
        };
        println!(
            "bench {name}: {rate}; each {:.2} notifications, {:.2} events, {:.2} grants",
            per(|c| c.notifications),
            per(|c| c.events),
            per(|c| c.grants),
        );
    }
    println!("measured");
}

/// How many requests were served, and in how many seconds.
async fn run(disk: &Disk, write: bool, size: u64, depth: u64, random: bool) -> (u64, f64) {
    let blocks = disk.len() / size;
    let next = Rc::new(Cell::new(0u64));
    let (start, time) = (now(), time());
    let tasks: Vec<_> = (0..depth)
        .map(|task| {
            let (disk, next) = (disk.clone(), next.clone());
            mirust::spawn(async move {
                let mut buffer = Buffer::new(size as usize).unwrap();
                let mut seed = task + 1;
                while now().duration_since(start) < time {
                    let n = next.get();
                    next.set(n + 1);
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let block = if random { (seed >> 33) % blocks } else { n % blocks };
                    buffer = if write {
                        disk.write(block * size, buffer).await.unwrap()
                    } else {
                        disk.read(block * size, buffer).await.unwrap()
                    };
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (next.get(), now().duration_since(start).as_secs_f64())
}
