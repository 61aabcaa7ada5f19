//! Ramdisks: what an archive holds, put into the tree of files.

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::super::parts::Result;
use super::cpio::{Entries, Entry};
use super::node::{DIRECTORY, Kind, LINK, Node, REGULAR, TYPE};
use super::tree::Tree;

impl Tree {
    /// Puts in what an archive holds. It ends at what is malformed, with a line in the log.
    pub(super) fn unpack(&self, archive: &'static [u8]) {
        let mut linked: BTreeMap<[u32; 3], &'static [u8]> = BTreeMap::new();
        let entries = || Entries::new(archive).map_while(core::result::Result::ok);
        // The contents are with one of the links to a file, the last one as a rule.
        for entry in entries().filter(|e| e.links > 1 && !e.data.is_empty()) {
            linked.insert(entry.identity, entry.data);
        }
        for entry in Entries::new(archive) {
            let put = match entry {
                Ok(entry) => self.put_entry(&entry, &linked),
                Err(malformed) => {
                    log::error!(target: "files", "ramdisk: {malformed}; the rest of it is not there");
                    break;
                }
            };
            if let (Err(_), Ok(entry)) = (put, entry) {
                let name = String::from_utf8_lossy(entry.name);
                log::error!(target: "files", "ramdisk: {name:?} cannot be where it wants to be");
            }
        }
    }

    fn put_entry(
        &self,
        entry: &Entry<'static>,
        linked: &BTreeMap<[u32; 3], &'static [u8]>,
    ) -> Result {
        let Entry { name, mode, modified, data, .. } = *entry;
        let node = match mode & TYPE {
            DIRECTORY => Node::directory(mode, modified),
            REGULAR => {
                let shared = linked.get(&entry.identity).filter(|_| entry.links > 1);
                let data = shared.copied().unwrap_or(data);
                Node::new(mode, modified, Kind::File(data))
            }
            LINK => Node::new(mode, modified, Kind::Link(data.into())),
            // Devices and the like: those that exist are there anyway.
            _ => return Ok(()),
        };
        self.put(name, node)
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive_tests::put;
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_malformed_rest_leaves_what_came_before() {
        let mut archive = Vec::new();
        put(&mut archive, "a", 0o100_644, 1, b"A");
        archive.extend(b"garbage");
        let tree = Tree::new();
        tree.unpack(archive.leak());
        let found = tree.find(&Vec::new(), b"a", true).ok().and_then(|found| found.node);
        assert!(found.is_some_and(|node| matches!(node.kind, Kind::File(b"A"))));
    }
}
