//! Asks for more memory than there is, with no way to be told.

/// Takes memory until there is none.
#[mirust::export]
fn take_all(_: ()) -> isize {
    let mut all = Vec::new();
    loop {
        all.push(vec![1u8; 1_000_000]);
        std::hint::black_box(&all);
    }
}
