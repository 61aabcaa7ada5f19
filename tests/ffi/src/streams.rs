//! Streams that OCaml reads, and streams that Rust reads.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::channel::mpsc;
use futures::stream::{self, FusedStream, Stream, StreamExt};
use futures::{FutureExt, SinkExt, select};
use mirust::ocaml::{BoxRoot, Closure, Feed, LwtStream, OCamlStream, PromiseError, with_runtime};
use mirust::time::{Duration, sleep};

thread_local! {
    static POLLED: Cell<isize> = const { Cell::new(0) };
    static DROPPED: Cell<isize> = const { Cell::new(0) };
}

/// Counts up to `last`, and what happens to it.
struct Numbers {
    next: isize,
    last: isize,
    panics: bool,
}

impl Stream for Numbers {
    type Item = isize;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<isize>> {
        POLLED.set(POLLED.get() + 1);
        self.next += 1;
        if self.next <= self.last {
            return Poll::Ready(Some(self.next));
        }
        assert!(!self.panics, "after {}", self.last);
        Poll::Ready(None)
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
        assert!(!self.panics, "in a destructor");
    }
}

#[mirust::export(noalloc)]
fn test_stream_polled(_: isize) -> isize {
    POLLED.get()
}

#[mirust::export(noalloc)]
fn test_stream_dropped(_: isize) -> isize {
    DROPPED.get()
}

#[mirust::export(noalloc)]
fn test_streams_fed(_: isize) -> isize {
    mirust::ocaml::streams_fed() as isize
}

#[mirust::export]
fn test_feed(last: isize) -> Feed<isize> {
    Feed::new(Numbers { next: 0, last, panics: false })
}

#[mirust::export]
fn test_feed_panics(last: isize) -> Feed<isize> {
    Feed::new(Numbers { next: 0, last, panics: true })
}

/// Strings, at their own pace.
#[mirust::export]
fn test_feed_slowly(last: isize, ns: i64) -> Feed<String> {
    Feed::new(stream::iter(1..=last).then(move |n| async move {
        sleep(Duration::from_nanos(ns as u64)).await;
        n.to_string()
    }))
}

/// A stream that comes later, perhaps.
#[mirust::export]
async fn test_feed_later(last: isize) -> Result<Feed<isize>, String> {
    mirust::yield_now().await;
    if last < 0 {
        return Err("negative".into());
    }
    Ok(Feed::new(Numbers { next: 0, last, panics: false }))
}

/// What a channel of another crate receives from a task.
#[mirust::export]
fn test_feed_of_channel(last: isize) -> Feed<isize> {
    let (mut sender, receiver) = mpsc::channel(2);
    mirust::spawn(async move {
        for n in 1..=last {
            if sender.send(n).await.is_err() {
                return;
            }
        }
    });
    Feed::new(receiver)
}

/// The same with another one.
#[mirust::export]
fn test_feed_of_async_channel(last: isize) -> Feed<isize> {
    let (sender, receiver) = async_channel::bounded(2);
    mirust::spawn(async move {
        for n in 1..=last {
            if sender.send(n).await.is_err() {
                return;
            }
        }
    });
    Feed::new(receiver)
}

/// The elements, and how it ended.
#[mirust::export]
async fn test_read(mut strings: LwtStream<String>, at_most: isize) -> String {
    let mut all = String::new();
    for _ in 0..at_most {
        match strings.next_to_rust::<String>().await {
            Some(Ok(s)) => all += &s,
            Some(Err(error)) => {
                assert!(strings.is_terminated() && strings.next().await.is_none());
                return format!("{all} error: {error}");
            }
            None => {
                assert!(strings.is_terminated() && strings.next().await.is_none());
                return format!("{all} end");
            }
        }
    }
    all
}

/// Gives up after a while.
#[mirust::export]
async fn test_read_timeout(mut strings: LwtStream<String>, ns: i64) -> bool {
    let mut timeout = sleep(Duration::from_nanos(ns as u64)).boxed_local().fuse();
    select! {
        _ = timeout => false,
        _ = strings.select_next_some() => true,
    }
}

/// Reads a stream that a closure gives, and gives it on.
#[mirust::export]
async fn test_read_of_closure(f: BoxRoot<fn(()) -> OCamlStream<isize>>) -> Feed<isize> {
    let read = with_runtime(|ocaml| f.call(ocaml, ((),)).map(LwtStream::new));
    let numbers = read.expect("in a task").expect("a stream");
    let doubled = numbers.map(|n: Result<_, PromiseError>| {
        let root = n.expect("an element");
        with_runtime(|ocaml| root.get(ocaml).to_i64()).expect("in a task") as isize * 2
    });
    Feed::new(doubled)
}

/// Reads all of a stream, for the benchmark.
#[mirust::export]
async fn bench_read(mut numbers: LwtStream<isize>) -> isize {
    let mut count = 0;
    while let Some(Ok(_)) = numbers.next().await {
        count += 1;
    }
    count
}
