//! A recursion that does not end.

#[mirust::export]
fn deeper(n: isize) -> isize {
    deepest(&[n; 64])
}

#[allow(unconditional_recursion)]
fn deepest(frame: &[isize; 64]) -> isize {
    let next = std::hint::black_box([frame[0] + 1; 64]);
    deepest(&next) + next[1]
}
