//! Rust owns the program.

use mirust::time::{Duration, sleep};

mirust::main!(run);

async fn run() {
    println!("Hello from Rust on {}", mirust::platform_name());
    let counting = mirust::spawn(async {
        for n in 1..=3 {
            println!("Rust counts {n}");
            sleep(Duration::from_millis(100)).await;
        }
        "done"
    });
    match counting.await {
        Ok(word) => println!("{word}"),
        Err(error) => println!("{error}"),
    }
}
