//! Rust owns main and the loop; OCaml's main function runs out of memory in it.

use mirust::time::{Duration, sleep};

mirust::main!(run);

async fn run() -> i32 {
    mirust::ocaml::start().expect("the first time");
    println!("rust:  started");
    sleep(Duration::from_secs(20)).await;
    println!("rust:  still there, without OCaml");
    0
}
