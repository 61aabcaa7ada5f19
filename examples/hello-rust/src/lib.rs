//! A unikernel in Rust only.

use mirust::time::{Duration, sleep};

mirust::main!(run);

async fn run() {
    let ticker = mirust::spawn(async {
        for i in 1..=3 {
            sleep(Duration::from_millis(20)).await;
            println!("tick {i}");
        }
    });
    println!("Hello from Rust on {}", mirust::platform_name());
    if let Err(error) = ticker.await {
        println!("{error}");
    }
}
