//! tokio's runtime of several threads.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{interval, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

pub fn run() {
    for workers in [1, 4] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .max_blocking_threads(8)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(everything());
        runtime.block_on(under_load());
        drop(runtime);
        crate::settle();
        println!("ok - tokio with {workers} workers");
    }
}

async fn everything() {
    let start = Instant::now();
    // Tasks, timers, and a limit.
    let tasks: Vec<_> = (0..20u64)
        .map(|n| {
            tokio::spawn(async move {
                sleep(Duration::from_millis(n % 5)).await;
                n
            })
        })
        .collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 190);
    assert!(timeout(3 * MS, std::future::pending::<()>()).await.is_err());
    let mut ticks = interval(MS);
    for _ in 0..3 {
        ticks.tick().await;
    }
    // Channels and a lock.
    let (sender, mut receiver) = mpsc::channel(1);
    let total = std::sync::Arc::new(Mutex::new(0));
    for i in 0..5 {
        let (sender, total) = (sender.clone(), std::sync::Arc::clone(&total));
        tokio::spawn(async move {
            let mut guard = total.lock().await;
            tokio::task::yield_now().await;
            *guard += i;
            sender.send(i).await.unwrap();
        });
    }
    drop(sender);
    let mut got = 0;
    while let Some(i) = receiver.recv().await {
        got += i;
    }
    assert_eq!((got, *total.lock().await), (10, 10));
    // Blocking code, several at a time, which the timers do not wait for.
    let blocking: Vec<_> = (0..4)
        .map(|i| {
            tokio::task::spawn_blocking(move || {
                thread::sleep(5 * MS);
                i
            })
        })
        .collect();
    sleep(MS).await;
    for (i, task) in blocking.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), i);
    }
    let inside = tokio::task::spawn(async { tokio::task::block_in_place(|| thread::sleep(MS)) });
    inside.await.unwrap();
    // A panic ends its task.
    assert!(tokio::spawn(async { panic!("as asked") }).await.unwrap_err().is_panic());
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || sender.send(7).unwrap());
    assert_eq!(receiver.await, Ok(7));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// A task that always has something to do keeps its worker busy, while another one has the timers and the main stack
/// waits for a thread.
async fn under_load() {
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    sleep(5 * MS).await;
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        thread::sleep(20 * MS);
        sender.send(7).unwrap();
    });
    assert_eq!(receiver.await, Ok(7));
}
