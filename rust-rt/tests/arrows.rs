//! Dependencies point downwards only. Cargo refuses circles between crates, but not an arrow that nobody
//! meant, and no circle between the files of one crate: so the manifests and the sources are read,
//! and held against the table in `docs/architecture.md`.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's name from the crate's root on, or that of something in it.
type Name = Vec<String>;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The crates that have a folder here.
fn crates() -> BTreeSet<String> {
    let entries = fs::read_dir(here()).expect("the crates").map(|entry| entry.unwrap().path());
    let crates = entries.filter(|path| path.join("Cargo.toml").exists());
    crates.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// The crates of this family that the manifest of one has under `[dependencies]`.
fn depends_on(name: &str) -> BTreeSet<String> {
    let manifest = read(&here().join(name).join("Cargo.toml"));
    let (_, rest) = manifest.split_once("\n[dependencies]\n").expect("a list of dependencies");
    let list = rest.split("\n[").next().expect("at least one piece");
    let names = list.lines().filter_map(|line| line.strip_prefix("mirust-"));
    names.map(|line| line.split([' ', '.', '=']).next().unwrap().to_owned()).collect()
}

/// The table's rows, from the bottom of the house up: a crate, and those that it may use.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let page = read(&here().join("../docs/architecture.md"));
    let (_, rest) = page.split_once("| crate | holds | uses |\n").expect("the table of crates");
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let name: Vec<String> = words(cells[1]);
        (name[0].clone(), BTreeSet::from_iter::<Vec<String>>(words(cells[cells.len() - 2])))
    })
    .collect()
}

#[test]
fn crates_use_what_the_table_says_and_only_what_is_below() {
    let mut below = BTreeSet::new();
    for (name, uses) in table() {
        assert_eq!(depends_on(&name), uses, "{name}: docs/architecture.md says otherwise");
        assert!(uses.is_subset(&below), "{name} uses what stands above it in the table");
        below.insert(name);
    }
    assert_eq!(below, crates(), "each crate has a row");
}

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    let ffi = [
        "../ffi",
        "../ffi/bindgen",
        "../ffi/cargo-mirust",
        "../ffi/macros",
        "../ffi/notation",
        "../ffi/summon",
    ];
    for name in crates().iter().map(String::as_str).chain(ffi) {
        let house = House::read(&here().join(name).join("src"));
        let found = house.circles();
        circles.extend(found.iter().map(|circle| format!("{name}: {}", house.describe(circle))));
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

/// The files of a crate.
struct House {
    files: BTreeMap<Name, File>,
}

/// One file, as far as it says what it needs.
#[derive(Default)]
struct File {
    /// Names that `use` brings in, each with what it stands for. Relative to the file's module.
    imports: BTreeMap<String, Name>,
    /// Whether the import hands the name on (`pub use`): then it is no need of the file's own.
    handed_on: BTreeSet<String>,
    /// Paths in the code.
    paths: BTreeSet<Name>,
}

impl House {
    fn read(src: &Path) -> House {
        let mut files = BTreeMap::new();
        let mut folders = vec![src.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("the sources") {
                let path = entry.unwrap().path();
                let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
                if stem.ends_with("tests") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files.insert(module(src, &path), File::read(&read(&path)));
                }
            }
        }
        House { files }
    }

    /// The absolute name of `path` as the module `here` writes it; nothing if it is of another crate.
    fn absolute(&self, here: &Name, path: &[String]) -> Option<Name> {
        let (mut at, mut rest) = match path[0].as_str() {
            "crate" => (vec![], &path[1..]),
            "self" => (here.clone(), &path[1..]),
            "super" => (here.clone(), path),
            first => {
                let child = [here.as_slice(), &[first.to_owned()]].concat();
                if !self.files.contains_key(&child) {
                    return None;
                }
                (here.clone(), path)
            }
        };
        while rest.first().is_some_and(|part| part == "super") {
            at.pop();
            rest = &rest[1..];
        }
        at.extend(rest.iter().cloned());
        Some(at)
    }

    /// The file that defines the item with this absolute name, through all re-exports.
    fn definition(&self, name: &Name, depth: usize) -> Option<Name> {
        let home =
            (0..=name.len()).rev().map(|n| &name[..n]).find(|n| self.files.contains_key(*n))?;
        let file = &self.files[home];
        if let (Some(item), true) = (name.get(home.len()), depth < 10) {
            if let Some(import) = file.imports.get(item) {
                let mut next = self.absolute(&home.to_vec(), import)?;
                next.extend(name[home.len() + 1..].iter().cloned());
                return self.definition(&next, depth + 1);
            }
        }
        Some(home.to_vec())
    }

    /// The files that one needs.
    fn needs(&self, here: &Name) -> BTreeSet<Name> {
        let file = &self.files[here];
        let own = file.imports.iter().filter(|(name, _)| !file.handed_on.contains(*name));
        let imported = own.map(|(_, path)| path.clone());
        let written = file.paths.iter().map(|path| match file.imports.get(&path[0]) {
            Some(import) => [import.as_slice(), &path[1..]].concat(),
            None => path.clone(),
        });
        let absolute = imported.chain(written).filter_map(|path| self.absolute(here, &path));
        absolute.filter_map(|name| self.definition(&name, 0)).filter(|to| to != here).collect()
    }

    /// Each group of files of which every one needs every other, in the end.
    fn circles(&self) -> Vec<BTreeSet<Name>> {
        let reached: BTreeMap<&Name, BTreeSet<Name>> =
            self.files.keys().map(|name| (name, self.reached(name))).collect();
        let group = |name: &Name| -> BTreeSet<Name> {
            reached[name].iter().filter(|to| reached[*to].contains(name)).cloned().collect()
        };
        let groups: BTreeSet<BTreeSet<Name>> = self.files.keys().map(group).collect();
        groups.into_iter().filter(|group| group.len() > 1).collect()
    }

    /// All files that one needs, and those that they need, and so on.
    fn reached(&self, from: &Name) -> BTreeSet<Name> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(name) = next.pop() {
            let new: Vec<Name> =
                self.needs(&name).into_iter().filter(|to| !seen.contains(to)).collect();
            seen.extend(new.iter().cloned());
            next.extend(new);
        }
        seen
    }

    /// The arrows of a circle.
    fn describe(&self, circle: &BTreeSet<Name>) -> String {
        let text = |name: &Name| format!("/{}", name.join("/"));
        let arrows = circle.iter().map(|name| {
            let inside: Vec<String> = self.needs(name).intersection(circle).map(text).collect();
            format!("{} -> {}", text(name), inside.join(" "))
        });
        arrows.collect::<Vec<_>>().join(", ")
    }
}

/// The module that a file holds.
fn module(src: &Path, path: &Path) -> Name {
    let inside: PathBuf = path.strip_prefix(src).unwrap().with_extension("");
    let mut name: Name = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(name.last().map(String::as_str), Some("mod" | "lib")) {
        name.pop();
    }
    name
}

impl File {
    fn read(text: &str) -> File {
        let code = text.split("#[cfg(test)]\nmod tests").next().expect("at least one piece");
        let tokens = tokens(code);
        let mut file = File::default();
        let mut i = 0;
        while i < tokens.len() {
            if tokens[i] == "use" {
                let end = i + tokens[i..].iter().position(|token| token == ";").expect("an end");
                let before = i.checked_sub(1).map_or("", |i| tokens[i].as_str());
                file.import(&tokens[i + 1..end], &vec![], before == "pub" || before == ")");
                i = end;
            } else if is_word(&tokens[i]) && tokens.get(i + 1).is_some_and(|next| next == "::") {
                let mut path = vec![tokens[i].clone()];
                while i + 2 < tokens.len() && tokens[i + 1] == "::" && is_word(&tokens[i + 2]) {
                    path.push(tokens[i + 2].clone());
                    i += 2;
                }
                file.paths.insert(path);
            }
            i += 1;
        }
        file
    }

    /// One tree of a `use`: names, braces, `as`.
    fn import(&mut self, tree: &[String], stem: &Name, handed_on: bool) {
        let mut path = stem.clone();
        let mut i = 0;
        while i < tree.len() && tree[i] != "as" {
            if tree[i] == "{" {
                let mut depth = 0;
                let mut start = i + 1;
                for (j, token) in tree.iter().enumerate().skip(i) {
                    depth += i32::from(token == "{") - i32::from(token == "}");
                    if depth == 0 || depth == 1 && token == "," {
                        if start < j {
                            self.import(&tree[start..j], &path, handed_on);
                        }
                        start = j + 1;
                    }
                }
                return;
            }
            if is_word(&tree[i]) && (tree[i] != "self" || path.is_empty()) {
                path.push(tree[i].clone());
            }
            i += 1;
        }
        let name = if i < tree.len() { &tree[i + 1] } else { path.last().expect("a name") };
        // Of a glob it is not known which names it brings: it is a need of the module itself.
        let name = if tree.last().is_some_and(|last| last == "*") { "*" } else { name }.to_owned();
        if handed_on {
            self.handed_on.insert(name.clone());
        }
        if name == "_" || name == "*" {
            self.paths.insert(path);
        } else {
            self.imports.insert(name, path);
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::`, and every other character but spaces. No comments and no strings.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            string(rest)
        } else if is_part(first) {
            rest.find(|c| !is_part(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let token = &rest[..len];
        if !token.trim().is_empty() && !token.starts_with("//") && first != '"' {
            tokens.push(token.to_owned());
        }
        rest = &rest[len..];
    }
    tokens
}

/// The length of the string literal that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}
