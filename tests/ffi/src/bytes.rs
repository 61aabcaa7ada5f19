//! Bytes in place.

#[mirust::export]
fn test_sum(data: &[u8]) -> isize {
    data.iter().map(|&b| b as isize).sum()
}

#[mirust::export]
fn test_fill(data: &mut [u8], byte: isize) {
    data.fill(byte as u8);
}

#[mirust::export]
fn test_copy(from: &[u8], to: &mut [u8]) -> isize {
    let n = from.len().min(to.len());
    to[..n].copy_from_slice(&from[..n]);
    n as isize
}

#[mirust::export]
fn test_equal(a: &[u8], b: &[u8]) -> bool {
    a == b
}

#[mirust::export]
fn test_split(line: &str) -> String {
    mirust::args::split(line).join("|")
}
