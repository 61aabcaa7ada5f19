//! Rust owns main and the loop.

use mirust::time::{Duration, sleep};

mirust::main!(run);

async fn run() -> i32 {
    mirust::ocaml::start().expect("the first time");
    println!("rust:  started");
    sleep(Duration::from_secs(20)).await;
    println!("rust:  still there");
    0
}
