//! An image of threads. Its command line names a case: `std`, `c`, `crates`, `tokio`, `many`, `exceptions`,
//! `bench`, or one that crashes.

mod bench;
mod crashes;
mod crates;
mod exceptions;
mod many;
mod pthreads;
mod standard;
mod tokio_runtime;

async fn run() -> i32 {
    let line = mirust::args()[1..].join(" ");
    match line.as_str() {
        "std" => standard::run(),
        "c" => pthreads::run(),
        "crates" => crates::run(),
        "tokio" => tokio_runtime::run(),
        "many" => many::run(),
        "memory" => many::exhaust(),
        "bench" => bench::run(),
        "overflow" => crashes::overflow(),
        "abort" => crashes::abort(),
        "exceptions" => exceptions::run(),
        "exception passed on" => exceptions::passed_on(),
        "exception without room" => exceptions::no_room(),
        "exception without room on main" => exceptions::no_room_on_main(),
        "task" => crashes::task().await,
        "busy" => crashes::busy(),
        other => {
            mirust::log::error!("there is no case {other:?}");
            return 2;
        }
    }
    println!("{line} works");
    0
}

mirust::main!(run);

/// Runs each, and says so.
fn each(cases: &[(&str, fn())]) {
    for (name, case) in cases {
        case();
        println!("ok - {name}");
    }
    settle();
}

/// Waits until all threads have ended: joining one only shows that it has done its work, and one that was not joined
/// ends in its time.
fn settle() {
    for _ in 0..100 {
        if mirust::fiber::stats().threads == 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} threads have not ended", mirust::fiber::stats().threads);
}
