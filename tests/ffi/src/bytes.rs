//! Bytes in place.

use mirust::ocaml::Buffer;

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

/// All but the first and the last byte, where they are.
#[mirust::export]
fn test_buffer_inside(buffer: Buffer) -> Buffer {
    buffer.slice(1..buffer.len() - 1)
}

/// The same, when collections have passed over it.
#[mirust::export]
async fn test_buffer_later(buffer: Buffer) -> Result<Buffer, String> {
    mirust::time::sleep(mirust::time::Duration::from_millis(2)).await;
    Ok(buffer.slice(1..buffer.len() - 1))
}

#[mirust::export]
fn test_split(line: &[u8]) -> Vec<u8> {
    mirust::args::split(line).join(&b'|')
}

/// Reads one byte too many: what the address sanitizer is shown, to see whether it is there. Nobody
/// else calls it.
#[mirust::export]
fn test_overrun(length: isize) -> isize {
    let bytes = std::hint::black_box(vec![1u8; length as usize]);
    // SAFETY: there is no such byte. The sanitizer ends the program before it is read.
    let beyond = unsafe { bytes.as_ptr().add(length as usize).read() };
    beyond.into()
}
