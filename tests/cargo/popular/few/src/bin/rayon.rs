use rayon::prelude::*;

fn main() {
    let sum: u64 = (1..=1000_u64).into_par_iter().map(|n| n * n).sum();
    assert_eq!(sum, 333_833_500);
    println!("works");
}
