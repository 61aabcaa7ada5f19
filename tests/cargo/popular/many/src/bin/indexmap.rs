fn main() {
    let map: indexmap::IndexMap<_, _> = "hello".chars().zip(0..).collect();
    assert_eq!(map.keys().collect::<String>(), "helo");
    println!("works");
}
