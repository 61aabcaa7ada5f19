use procfs::process::Process;
use procfs::{Current, CurrentSI, KernelStats, Meminfo};
use prometheus::{Encoder, TextEncoder};

// What a service exports of itself: a counter, and what procfs finds out about the process.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let requests = prometheus::register_int_counter!("requests_total", "Requests.")?;
    requests.inc();
    let mut text = Vec::new();
    TextEncoder::new().encode(&prometheus::gather(), &mut text)?;
    let text = String::from_utf8(text)?;
    assert!(text.contains("requests_total 1\n"), "{text}");
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().parse::<f64>().unwrap_or_default()
    };
    assert!(number("process_resident_memory_bytes") > 4_096., "{text}");
    assert!(
        number("process_virtual_memory_bytes") > number("process_resident_memory_bytes"),
        "{text}"
    );
    assert!(number("process_start_time_seconds") > 1.5e9, "{text}");
    assert_eq!(number("process_threads"), 1.);

    let waits = std::thread::spawn(std::thread::park);
    let me = Process::myself()?;
    assert_eq!((me.pid, me.stat()?.num_threads), (std::process::id() as i32, 2));
    waits.thread().unpark();
    waits.join().unwrap();
    assert_eq!(me.stat()?.num_threads, 1);
    let memory = Meminfo::current()?;
    assert!(memory.mem_free < memory.mem_total && memory.committed_as > 0);
    assert_eq!(KernelStats::current()?.cpu_time.len(), 1);
    println!("works");
    Ok(())
}
