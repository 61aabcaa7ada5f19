//! The archive format of ramdisks: cpio as Linux's initramfs has it ("newc").
//!
//! It was chosen over tar because it is what a ramdisk is everywhere else, because names have no
//! limits and no extensions, and because its records are aligned, so that files are used where they lie:
//! a ramdisk costs no memory but its own. `find . | cpio -o -H newc` makes one. Format:
//! Linux's `Documentation/driver-api/early-userspace/buffer-format.rst`.

/// A file, a directory or something else in an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'a> {
    /// The path, without slashes at its beginning.
    pub(super) name: &'a [u8],
    /// Type and permissions, as in `st_mode`.
    pub(super) mode: u32,
    /// Tells which entries are one file, if there are several links to it: device and inode.
    pub(super) identity: [u32; 3],
    pub(super) links: u32,
    /// Seconds since 1970.
    pub(super) modified: u32,
    /// The contents; of a symbolic link, its target.
    pub(super) data: &'a [u8],
}

/// What is wrong with an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Malformed {
    /// No record begins at this offset.
    Magic(usize),
    /// A number is not hexadecimal in the record at this offset.
    Number(usize),
    /// The record at this offset, or its data, passes the end.
    Short(usize),
    /// The name of the record at this offset does not end in a NUL.
    Name(usize),
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Malformed::Magic(at) => write!(f, "no cpio record (newc) at byte {at}"),
            Malformed::Number(at) => write!(f, "a bad number in the record at byte {at}"),
            Malformed::Short(at) => write!(f, "the record at byte {at} passes the end"),
            Malformed::Name(at) => write!(f, "a bad name in the record at byte {at}"),
        }
    }
}

const HEADER: usize = 110;
const END: &[u8] = b"TRAILER!!!";

/// The entries of an archive, or of several one behind the other. After an error there are no more.
pub(super) struct Entries<'a> {
    archive: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(archive: &'a [u8]) -> Self {
        Entries { archive, at: 0 }
    }

    fn record(&mut self) -> Result<Entry<'a>, Malformed> {
        let at = self.at;
        let rest = &self.archive[at..];
        if !(rest.starts_with(b"070701") || rest.starts_with(b"070702")) {
            return Err(Malformed::Magic(at));
        }
        let header = rest.get(..HEADER).ok_or(Malformed::Short(at))?;
        let mut numbers = [0u32; 13];
        for (number, digits) in numbers.iter_mut().zip(header[6..].chunks_exact(8)) {
            *number = hexadecimal(digits).ok_or(Malformed::Number(at))?;
        }
        let [inode, mode, _, _, links, modified, size, major, minor, _, _, name_size, _] = numbers;
        let name_end = HEADER.checked_add(name_size as usize).ok_or(Malformed::Short(at))?;
        let name = rest.get(HEADER..name_end).ok_or(Malformed::Short(at))?;
        let name =
            name.strip_suffix(b"\0").filter(|n| !n.contains(&0)).ok_or(Malformed::Name(at))?;
        let data_at = (at + name_end).next_multiple_of(4);
        let data = self.archive.get(data_at..).and_then(|rest| rest.get(..size as usize));
        let data = data.ok_or(Malformed::Short(at))?;
        self.at = (data_at + data.len()).next_multiple_of(4).min(self.archive.len());
        let start = name.iter().take_while(|&&c| c == b'/').count();
        let (name, identity) = (&name[start..], [major, minor, inode]);
        Ok(Entry { name, mode, identity, links, modified, data })
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, &digit| Some(sum << 4 | (digit as char).to_digit(16)?))
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Archives are padded, to a block or to whatever the loader takes.
            let padding = self.archive[self.at..].iter().take_while(|&&byte| byte == 0).count();
            self.at += padding;
            if self.at == self.archive.len() {
                return None;
            }
            match self.record() {
                Ok(entry) if entry.name == END => {}
                Ok(entry) => return Some(Ok(entry)),
                Err(error) => {
                    self.at = self.archive.len();
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// What `cpio -o -H newc` wrote for a file `a` with the contents `hi\n`, byte by byte.
    const GOLDEN: &[u8] = b"070701\
        00A1B2C3000081A4000003E8000003E8000000016553F1000000000300000008000000010000000000000000\
        0000000200000000a\0hi\n\0\
        070701\
        00000000000000000000000000000000000000010000000000000000000000000000000000000000\
        000000000000000B00000000TRAILER!!!\0\0\0\0";

    #[test]
    fn literal_bytes() {
        let entries: Vec<_> = Entries::new(GOLDEN).collect();
        let expected = Entry {
            name: b"a",
            mode: 0o100_644,
            identity: [8, 1, 0xa1b2c3],
            links: 1,
            modified: 0x6553_f100,
            data: b"hi\n",
        };
        assert_eq!(entries, [Ok(expected)]);
    }

    #[test]
    fn archives_may_follow_each_other_with_padding() {
        let mut twice = GOLDEN.to_vec();
        twice.resize(512, 0);
        twice.extend(GOLDEN);
        assert_eq!(Entries::new(&twice).filter(Result::is_ok).count(), 2);
        assert_eq!(Entries::new(&[0; 512]).count(), 0);
        assert_eq!(Entries::new(&[]).count(), 0);
    }

    #[test]
    fn every_cut_and_every_changed_byte_gives_an_answer() {
        for length in 0..GOLDEN.len() {
            let all: Vec<_> = Entries::new(&GOLDEN[..length]).collect();
            assert!(all.len() <= 2, "{length}");
        }
        assert_eq!(Entries::new(&GOLDEN[..50]).next(), Some(Err(Malformed::Short(0))));
        assert_eq!(Entries::new(b"not an archive").next(), Some(Err(Malformed::Magic(0))));
        for at in 0..GOLDEN.len() {
            for byte in [0, b'F', b'z', 0xff] {
                let mut changed = GOLDEN.to_vec();
                changed[at] = byte;
                assert!(Entries::new(&changed).count() <= 3);
            }
        }
    }
}
