//! Rust owns main, starts OCaml, and both go on in one loop.

use std::cell::RefCell;

use mirust::ocaml::{BoxRoot, Closure, with_runtime};
use mirust::time::{Duration, sleep};

mirust::main!(run);

thread_local! {
    static DOUBLE: RefCell<Option<BoxRoot<fn(isize) -> isize>>> = const { RefCell::new(None) };
}

/// What OCaml's toplevel leaves for later.
#[mirust::export]
fn give(double: BoxRoot<fn(isize) -> isize>) {
    DOUBLE.set(Some(double));
}

async fn run() -> i32 {
    println!("rust:  {:?}", &mirust::args()[1..]);
    println!("rust:  starting OCaml");
    mirust::ocaml::start().expect("the first time");
    println!("rust:  started");
    let ticks = mirust::spawn(async {
        for i in 1..=2 {
            sleep(Duration::from_millis(40)).await;
            println!("rust:  tick {i}");
        }
    });
    ticks.await.expect("no panic");
    let double = DOUBLE.take().expect("OCaml gave it");
    let answer = with_runtime(|ocaml| double.call(ocaml, (21,)).map(|n| n.to_rust::<i64>()));
    println!("rust:  {answer:?}");
    3
}
