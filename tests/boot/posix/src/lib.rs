//! What std, mio, polling and tokio do on Linux, done in an image without any network but its own
//! addresses. `tests/boot/run` boots it with a ramdisk; the command line says which part.

mod crowd;
mod events;
mod files;
mod leaks;
mod sockets;
mod streams;
mod tokio_net;
mod tokio_threads;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A part, and its name.
type Part = (&'static str, fn() -> Outcome);

const PARTS: [Part; 8] = [
    ("files", files::run),
    ("sockets", sockets::run),
    ("events", events::run),
    ("tokio", tokio_net::run),
    ("leaks", leaks::run),
    ("tokio on threads", tokio_threads::run),
    ("streams", streams::run),
    ("a crowd on threads", crowd::run),
];

async fn run() -> Result<(), String> {
    if mirust::args().iter().any(|arg| arg == "_exit") {
        streams::end_at_once();
    }
    mirust::net::up().await.map_err(|error| error.to_string())?;
    for (name, part) in PARTS {
        // Blocking calls on the main stack, inside the main future.
        part().map_err(|error| format!("{name}: {error}"))?;
        println!("{name} works");
    }
    println!("posix works");
    // As C has it, which writes what is still in its streams.
    streams::leave_text(c"and what exit writes is written");
    std::process::exit(0)
}

mirust::main!(run);
