use tracing::{info, instrument};

#[instrument]
fn double(n: u32) -> u32 {
    info!("doubling");
    2 * n
}

fn main() {
    tracing_subscriber::fmt::init();
    assert_eq!(double(21), 42);
    println!("works");
}
