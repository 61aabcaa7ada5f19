use rand::Rng;
use rand::seq::SliceRandom;

fn main() {
    let mut rng = rand::rng();
    let mut numbers: Vec<u32> = (0..100).collect();
    numbers.shuffle(&mut rng);
    assert!(rng.random_range(1..=6) <= 6 && numbers.iter().sum::<u32>() == 4950);
    println!("works");
}
