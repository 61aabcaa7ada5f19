//! A repository in `/tmp`, with a commit and a change.

use git2::{Error, Repository, Signature, Time};
use std::fs;
use std::path::Path;

fn main() -> Result<(), Error> {
    let dir = std::env::temp_dir().join("repository");
    let repository = Repository::init(&dir)?;
    fs::write(dir.join("file"), "one\n").unwrap();
    let mut index = repository.index()?;
    index.add_path(Path::new("file"))?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let who = Signature::new("me", "me@example.org", &Time::new(0, 0))?;
    let id = repository.commit(Some("HEAD"), &who, &who, "first", &tree, &[])?;
    let repository = Repository::open(&dir)?;
    let commit = repository.find_commit(id)?;
    assert_eq!(commit.message(), Some("first"));
    fs::write(dir.join("file"), "one\ntwo\n").unwrap();
    let changes = repository.diff_tree_to_workdir(Some(&commit.tree()?), None)?;
    assert_eq!(changes.stats()?.insertions(), 1);
    println!("works");
    Ok(())
}
