//! The Rust side of hello: what OCaml calls, and a task that sleeps on the same poll.

use mirust::ocaml::{BoxRoot, Closure, OCamlRuntime};
use mirust::time::{Duration, sleep};

/// A plain function. The name is borrowed in place, on the OCaml heap.
#[mirust::export(name = "hello_greeting")]
fn greeting(name: &str) -> String {
    format!("Hello {name}, this is Rust on {}", mirust::platform_name())
}

/// Calls `question` and prints its answer. If it raises an exception, the result is an `Err`.
#[mirust::export(name = "hello_ask")]
fn ask(ocaml: &mut OCamlRuntime, question: BoxRoot<fn(isize) -> String>) {
    match question.call(ocaml, (42,)) {
        Ok(answer) => println!("rust:  OCaml says {:?}", answer.to_rust::<String>()),
        Err(exception) => println!("rust:  OCaml raised {exception}"),
    }
}

/// Ticks `n` times.
#[mirust::export(name = "hello_tick")]
async fn tick(n: isize) {
    for i in 1..=n {
        sleep(Duration::from_millis(20)).await;
        println!("rust:  tick {i}");
    }
}
