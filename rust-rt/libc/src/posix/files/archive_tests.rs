//! Archives for tests.

use alloc::format;
use alloc::vec::Vec;

/// Appends a record to an archive.
pub(super) fn put(archive: &mut Vec<u8>, name: &str, mode: u32, inode: u32, data: &[u8]) {
    let links = if mode & 0o170_000 == 0o100_000 && inode > 100 { 2 } else { 1 };
    let numbers = [inode, mode, 0, 0, links, 1_700_000_000, data.len() as u32, 8, 1, 0, 0];
    archive.extend(b"070701");
    for number in numbers.into_iter().chain([name.len() as u32 + 1, 0]) {
        archive.extend(format!("{number:08X}").bytes());
    }
    archive.extend(name.bytes().chain([0]));
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(data);
    archive.resize(archive.len().next_multiple_of(4), 0);
}
