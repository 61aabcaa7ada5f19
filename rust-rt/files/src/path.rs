//! Paths: names between slashes, and symbolic links on the way.

use super::inode::Kind;
use super::limits::{LONGEST_PATH, MOST_LINKS, MOST_NAMES};
use super::{Error, Image, Inode, Source};
use alloc::vec::Vec;

/// The names of a path that are still to be followed, the next one last.
fn push(names: &mut Vec<Vec<u8>>, path: &[u8]) {
    names.extend(path.split(|&c| c == b'/').filter(|name| !name.is_empty()).rev().map(Vec::from));
}

impl<S: Source> Image<S> {
    /// What a path leads to, from the root on, whether it begins with a slash or not. Links are followed; one at its end
    /// if `follow`. What would lead above the root, stays there.
    pub async fn find(&self, path: &[u8], follow: bool) -> Result<Inode, Error> {
        if path.len() > LONGEST_PATH {
            return Err(Error::NameTooLong);
        }
        let mut names = Vec::new();
        push(&mut names, path);
        let must_be_directory = path.ends_with(b"/");
        let root = self.root().await?;
        let (mut above, mut here, mut links) = (Vec::new(), root, 0);
        while let Some(name) = names.pop() {
            super::directory::check(&here)?;
            match &name[..] {
                b"." => continue,
                b".." => {
                    here = above.pop().unwrap_or(root);
                    continue;
                }
                _ => {}
            }
            let found = self.lookup(&here, &name).await?.ok_or(Error::NotFound)?;
            if found.kind() == Kind::Link && (follow || !names.is_empty() || must_be_directory) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Error::Loop);
                }
                let target = self.target(&found).await?;
                if target.starts_with(b"/") {
                    (here, _) = (root, above.clear());
                }
                if target.len() / 2 + names.len() >= MOST_NAMES {
                    return Err(Error::NameTooLong);
                }
                push(&mut names, &target);
                continue;
            }
            above.push(core::mem::replace(&mut here, found));
        }
        if must_be_directory {
            super::directory::check(&here)?;
        }
        Ok(here)
    }
}
