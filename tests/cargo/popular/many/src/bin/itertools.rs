use itertools::Itertools;

fn main() {
    assert_eq!((1..4).tuple_windows().map(|(a, b)| a * b).join(","), "2,6");
    println!("works");
}
