#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let threads: Vec<_> = (0..4).map(|i| std::thread::spawn(move || vec![i; 100_000])).collect();
    let sum: usize = threads.into_iter().map(|t| t.join().unwrap().iter().sum::<usize>()).sum();
    assert_eq!(sum, 600_000);
    println!("works");
}
