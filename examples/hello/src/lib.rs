//! The Rust side of hello: what OCaml calls, and a task that sleeps on the same poll.

use mirust::ocaml::{BoxRoot, Closure, Completion, OCamlRuntime};
use mirust::time::{Duration, sleep};

/// A plain function. OCaml: `external greeting : string -> string = "hello_greeting"`.
#[mirust::export]
fn hello_greeting(name: &str) -> String {
    format!("Hello {name}, this is Rust on {}", mirust::platform_name())
}

/// Calls an OCaml closure and prints what it says.
#[mirust::export]
fn hello_ask(ocaml: &mut OCamlRuntime, question: BoxRoot<fn(isize) -> String>) {
    match question.call(ocaml, (42,)) {
        Ok(answer) => println!("rust:  OCaml says {:?}", answer.to_rust::<String>()),
        Err(exception) => println!("rust:  OCaml raised {exception}"),
    }
}

/// Ticks `n` times, and then wakes the OCaml promise that `done` names.
#[mirust::export]
fn hello_tick(n: isize, done: isize) {
    let done = Completion::from_token(done);
    mirust::spawn(async move {
        for i in 1..=n {
            sleep(Duration::from_millis(20)).await;
            println!("rust:  tick {i}");
        }
        done.complete();
    });
}
