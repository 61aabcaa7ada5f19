use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

fn main() {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let other = pair.clone();
    let thread = std::thread::spawn(move || {
        *other.0.lock() = true;
        other.1.notify_one();
    });
    let mut ready = pair.0.lock();
    while !*ready {
        pair.1.wait(&mut ready);
    }
    drop(ready);
    thread.join().unwrap();
    println!("works");
}
