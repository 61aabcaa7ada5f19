use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let barrier = Arc::new(Barrier::new(3));
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (0..3)
        .map(|n| {
            let (barrier, sender) = (barrier.clone(), sender.clone());
            thread::Builder::new().name(format!("worker {n}")).spawn(move || {
                barrier.wait();
                sender.send(thread::current().name().unwrap().to_owned()).unwrap();
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.unwrap().join().unwrap());
    drop(sender);
    assert_eq!(receiver.iter().count(), 3);
    let start = Instant::now();
    thread::sleep(Duration::from_millis(20));
    let (mutex, condition) = (Mutex::new(()), Condvar::new());
    let wait = condition.wait_timeout(mutex.lock().unwrap(), Duration::from_millis(20)).unwrap();
    assert!(wait.1.timed_out() && start.elapsed() >= Duration::from_millis(40));
    assert!(thread::spawn(|| panic!("as asked")).join().is_err());
    println!("works");
}
