fn main() {
    let mut few: smallvec::SmallVec<[u8; 2]> = smallvec::smallvec![1, 2];
    few.push(3);
    assert!(few.spilled() && few.len() == 3);
    println!("works");
}
