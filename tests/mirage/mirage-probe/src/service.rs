//! What the unikernel calls.

use std::cell::Cell;

use mirust::ocaml::{BoxRoot, Closure, OCamlRuntime, with_runtime};
use mirust::time::{Duration, sleep};
use mirust::xenstore;

thread_local! {
    static TICKS: Cell<isize> = const { Cell::new(0) };
}

/// The number, after this many milliseconds.
#[mirust::export]
async fn later(number: isize, ms: isize) -> isize {
    sleep(Duration::from_millis(ms as u64)).await;
    number
}

/// Has a task tick each millisecond from now on.
#[mirust::export]
fn start_ticking() {
    mirust::spawn(async {
        loop {
            sleep(Duration::from_millis(1)).await;
            TICKS.set(TICKS.get() + 1);
        }
    });
}

/// How often it has.
#[mirust::export(noalloc)]
fn ticks() -> isize {
    TICKS.get()
}

/// The next number, by a call that is safe from panics.
#[mirust::export]
fn next(n: isize) -> isize {
    std::hint::black_box(n) + 1
}

/// The next number, by a bare call.
#[mirust::export(noalloc)]
fn next_noalloc(n: isize) -> isize {
    std::hint::black_box(n) + 1
}

/// Calls the closure with each number below `n`, one call after the other, and gives the last result.
#[mirust::export]
fn repeat(
    ocaml: &mut OCamlRuntime,
    f: BoxRoot<fn(isize) -> isize>,
    n: isize,
) -> Result<isize, String> {
    (0..n).try_fold(0, |_, i| match f.call(ocaml, (i,)) {
        Ok(v) => Ok(v.to_i64() as isize),
        Err(e) => Err(e.to_string()),
    })
}

/// Calls the closure with each number below `n`, from a task, and gives the sum of the results.
#[mirust::export]
async fn sum(f: BoxRoot<fn(isize) -> isize>, n: isize) -> Result<isize, String> {
    let mut sum = 0;
    for i in 0..n {
        sleep(Duration::from_micros(100)).await;
        let called = with_runtime(|ocaml| f.call(ocaml, (i,)).map(|v| v.to_i64() as isize));
        sum += called.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    }
    Ok(sum)
}

/// Counts to `n` in a node, a transaction for each, and gives how many events a watch on it had.
#[mirust::export]
async fn count_in_store(path: String, n: isize) -> Result<isize, String> {
    let count = async || -> Result<isize, xenstore::Error> {
        let store = xenstore::store()?;
        let mut watch = store.watch(&path).await?;
        store.write(&path, "0").await?;
        let mut events = 0;
        for i in 0..n {
            let was = store.transaction(async |tx| {
                let was: isize = tx.read_parsed(&path).await?;
                tx.write(&path, (was + 1).to_string()).await?;
                Ok(was)
            });
            assert_eq!(was.await?, i, "nobody else counts here");
            let _ = watch.next().await?;
            events += 1;
        }
        Ok(events)
    };
    count().await.map_err(|error| error.to_string())
}
