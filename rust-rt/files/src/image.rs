//! An image: its inodes, its directories, its files.

use super::cache::Cache;
use super::directory::{self, Block, Entry};
use super::inode::{self, Kind, Layout};
use super::limits::{LONGEST_NAME, LONGEST_PATH};
use super::superblock::{self, Superblock, number};
use super::{Error, Inode, Source};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Bytes of the largest directory that is listed. Nothing bounds one that is searched.
pub const MOST_IN_DIRECTORY: u64 = 16 << 20;

/// An image of files.
pub struct Image<S> {
    source: S,
    superblock: Superblock,
    cache: Cache,
}

/// Bytes of a file that follow each other.
struct Piece {
    /// Where they begin; zeros that are nowhere, if nothing.
    at: Option<u64>,
    bytes: u64,
}

impl<S: Source> Image<S> {
    /// The image that `source` holds.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it holds none, or one whose superblock has been changed since its checksum was made or
    /// that is longer than the source; [`Error::Unsupported`].
    pub async fn open(source: S) -> Result<Image<S>, Error> {
        let mut bytes = [0; superblock::SIZE];
        source.read(superblock::OFFSET, &mut bytes).await?;
        let superblock = Superblock::parse(&bytes)?;
        if let Some(expected) = superblock.checksum {
            let mut all = zeros(superblock.summed())?;
            source.read(superblock::OFFSET, &mut all).await?;
            if superblock::checksum(&all) != expected {
                return Err(Error::Corrupt("the superblock's checksum is another"));
            }
        }
        let image = Image { cache: Cache::new(superblock.block()), source, superblock };
        if let Some(last) = image.superblock.blocks.checked_sub(1) {
            let end = (last + 1) * image.superblock.block() as u64;
            let whole = image.source.read(end - 1, &mut [0]).await;
            if whole == Err(Error::Disk(mirust_block::Error::OutOfRange)) {
                return Err(Error::Corrupt("it is longer than the disk"));
            }
            whole?;
        }
        Ok(image)
    }

    /// Where its bytes are.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The root directory.
    pub async fn root(&self) -> Result<Inode, Error> {
        let root = self.inode(self.superblock.root).await?;
        if root.kind() == Kind::Directory {
            Ok(root)
        } else {
            Err(Error::Corrupt("a root that is no directory"))
        }
    }

    /// What has this number; see [`Inode::number`].
    pub async fn inode(&self, number: u64) -> Result<Inode, Error> {
        let far = Error::Corrupt("an inode far away");
        let at = number.checked_mul(inode::SMALLEST as u64).ok_or(far)?;
        let at =
            at.checked_add(self.superblock.metadata << self.superblock.block_bits).ok_or(far)?;
        let mut small = [0; inode::SMALLEST];
        self.metadata(at, &mut small).await?;
        let mut bytes = [0; inode::LARGEST];
        bytes[..inode::SMALLEST].copy_from_slice(&small);
        if Inode::is_large(&small) {
            self.metadata(at + inode::SMALLEST as u64, &mut bytes[inode::SMALLEST..]).await?;
        }
        Inode::parse(&bytes, number, at, &self.superblock)
    }

    /// What has this name in a directory, if something has. No `.` and no `..`.
    ///
    /// # Errors
    ///
    /// [`Error::NotDirectory`]; [`Error::NameTooLong`].
    pub async fn lookup(&self, directory: &Inode, name: &[u8]) -> Result<Option<Inode>, Error> {
        directory::check(directory)?;
        if name.len() > LONGEST_NAME {
            return Err(Error::NameTooLong);
        }
        if [&b"."[..], b".."].contains(&name) {
            return Ok(None);
        }
        // The last block whose first name is not behind the one that is looked for.
        let (mut from, mut to) = (0, self.directory_blocks(directory));
        while to - from > 1 {
            let middle = from + (to - from) / 2;
            let block = self.directory_block(directory, middle).await?;
            if Block::parse(&block)?.get(0)?.0 <= name { from = middle } else { to = middle }
        }
        if from == to {
            return Ok(None);
        }
        let block = self.directory_block(directory, from).await?;
        match Block::parse(&block)?.find(name)? {
            Some(number) => Ok(Some(self.inode(number).await?)),
            None => Ok(None),
        }
    }

    /// The names in a directory, in the order of their bytes, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// [`Error::NotDirectory`]; [`Error::Unsupported`] beyond [`MOST_IN_DIRECTORY`].
    pub async fn list(&self, directory: &Inode) -> Result<Vec<Entry>, Error> {
        directory::check(directory)?;
        if directory.size > MOST_IN_DIRECTORY {
            return Err(Error::Unsupported("a directory of more than 16 MiB"));
        }
        let mut entries = Vec::new();
        for index in 0..self.directory_blocks(directory) {
            let bytes = self.directory_block(directory, index).await?;
            let block = Block::parse(&bytes)?;
            entries.try_reserve(block.len()).map_err(|_| Error::NoMemory)?;
            for at in 0..block.len() {
                let (name, number, kind) = block.get(at)?;
                if ![&b"."[..], b".."].contains(&name) {
                    // Of an image that repeats a block the names may be more than there is memory for.
                    let mut owned = Vec::new();
                    owned.try_reserve_exact(name.len()).map_err(|_| Error::NoMemory)?;
                    owned.extend_from_slice(name);
                    entries.push(Entry { name: owned, number, kind });
                }
            }
        }
        Ok(entries)
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKind`] of what is none.
    pub async fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        if link.kind() != Kind::Link {
            return Err(Error::WrongKind);
        }
        if link.size == 0 || link.size > LONGEST_PATH as u64 {
            return Err(Error::Corrupt("an impossible symbolic link"));
        }
        let mut target = zeros(link.size as usize)?;
        self.fill(link, 0, &mut target).await?;
        Ok(target)
    }

    /// Fills `out` with a file's bytes from `offset` on, as many as there are; how many that was.
    ///
    /// # Errors
    ///
    /// [`Error::IsDirectory`], [`Error::WrongKind`] of what is no file.
    pub async fn read_at(&self, file: &Inode, offset: u64, out: &mut [u8]) -> Result<usize, Error> {
        match file.kind() {
            Kind::File => {}
            Kind::Directory => return Err(Error::IsDirectory),
            Kind::Link | Kind::Other => return Err(Error::WrongKind),
        }
        let n = file.size.saturating_sub(offset).min(out.len() as u64) as usize;
        self.fill(file, offset, &mut out[..n]).await?;
        Ok(n)
    }

    fn directory_blocks(&self, directory: &Inode) -> u64 {
        directory.size.div_ceil(self.superblock.block() as u64)
    }

    /// One of a directory's blocks.
    async fn directory_block(&self, directory: &Inode, index: u64) -> Result<Vec<u8>, Error> {
        let offset = index << self.superblock.block_bits;
        let n = (directory.size - offset).min(self.superblock.block() as u64);
        let mut block = zeros(n as usize)?;
        let Piece { at, bytes } = self.piece(directory, offset).await?;
        // A block is in one piece, whatever the layout.
        match at.filter(|_| bytes >= n) {
            Some(at) => self.metadata(at, &mut block).await.map(|()| block),
            None => Err(Error::Corrupt("a directory with a hole")),
        }
    }

    /// Fills `out` with what is there, which the caller has seen to, from `offset` on.
    async fn fill(&self, inode: &Inode, mut offset: u64, mut out: &mut [u8]) -> Result<(), Error> {
        while !out.is_empty() {
            let Piece { at, bytes } = self.piece(inode, offset).await?;
            let n = bytes.min(out.len() as u64) as usize;
            let (now, rest) = out.split_at_mut(n);
            match at {
                None => now.fill(0),
                // The ends of small files lie among the inodes, and come with them.
                Some(at) if n < self.superblock.block() => self.metadata(at, now).await?,
                Some(at) => self.source.read(at, now).await?,
            }
            offset += n as u64;
            out = rest;
        }
        Ok(())
    }

    /// The piece that holds a file's byte at `offset`, which is in it. It is not empty.
    async fn piece(&self, inode: &Inode, offset: u64) -> Result<Piece, Error> {
        let bits = self.superblock.block_bits;
        let far = Error::Corrupt("bytes far away");
        // Block addresses have 32 bits.
        let from = |block: u64, offset: u64| (block << bits).checked_add(offset).ok_or(far);
        match inode.layout {
            Layout::Plain(block) => {
                Ok(Piece { at: Some(from(block, offset)?), bytes: inode.size - offset })
            }
            Layout::Inline(block) => {
                let tail = (inode.size - 1) >> bits << bits;
                if offset < tail {
                    return Ok(Piece { at: Some(from(block, offset)?), bytes: tail - offset });
                }
                let within = inode.behind & (self.superblock.block() as u64 - 1);
                if within + (inode.size - tail) > self.superblock.block() as u64 {
                    return Err(Error::Corrupt("a tail that crosses its block"));
                }
                Ok(Piece { at: Some(inode.behind + (offset - tail)), bytes: inode.size - offset })
            }
            Layout::Chunks { bits: chunk, wide } => {
                let (index, within) = (offset >> chunk, offset & ((1 << chunk) - 1));
                let bytes = ((1 << chunk) - within).min(inode.size - offset);
                let width = if wide { 8 } else { 4 };
                let first = inode.behind.checked_next_multiple_of(width);
                let at = index
                    .checked_mul(width)
                    .zip(first)
                    .and_then(|(at, first)| first.checked_add(at));
                let mut element = [0; 8];
                self.metadata(at.ok_or(far)?, &mut element[..width as usize]).await?;
                let block = if wide { number::<4>(&element, 4) } else { number::<4>(&element, 0) };
                if wide && number::<2>(&element, 2) != 0 {
                    return Err(Error::Unsupported("data on other devices"));
                }
                let hole = block == u64::from(u32::MAX);
                Ok(Piece { at: if hole { None } else { Some(from(block, within)?) }, bytes })
            }
        }
    }

    /// Fills `out` with metadata, by blocks that are kept for the next time.
    async fn metadata(&self, mut at: u64, mut out: &mut [u8]) -> Result<(), Error> {
        let size = self.superblock.block();
        while !out.is_empty() {
            let (number, within) = (at >> self.superblock.block_bits, (at % size as u64) as usize);
            let n = out.len().min(size - within);
            let block = match self.cache.get(number) {
                Some(block) => block,
                None => {
                    let mut bytes = zeros(size)?;
                    self.source.read(at - within as u64, &mut bytes).await?;
                    let block: Rc<[u8]> = bytes.into();
                    self.cache.put(number, Rc::clone(&block));
                    block
                }
            };
            let (now, rest) = out.split_at_mut(n);
            now.copy_from_slice(&block[within..within + n]);
            at = at.checked_add(n as u64).ok_or(Error::Corrupt("bytes far away"))?;
            out = rest;
        }
        Ok(())
    }
}

/// This many zeros.
fn zeros(n: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(n).map_err(|_| Error::NoMemory)?;
    bytes.resize(n, 0);
    Ok(bytes)
}
