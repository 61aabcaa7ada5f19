use dashmap::DashMap;

fn main() {
    let map = DashMap::new();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let map = &map;
            scope.spawn(move || map.insert(n, n * n));
        }
    });
    assert_eq!((map.len(), *map.get(&3).unwrap()), (4, 9));
    println!("works");
}
