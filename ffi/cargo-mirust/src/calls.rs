//! The call graph of what an image is linked from: the path from `main` to a symbol.
//!
//! A section refers to others by its relocations. The linker keeps what can be reached that way from the entry point,
//! and this module follows the same references.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::fs;
use std::path::Path;

use object::read::archive::ArchiveFile;
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolSection};
use rustc_demangle::try_demangle;

use crate::program::Program;

/// A function on the path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The crate that wrote it, or the archive that it is in.
    pub part: String,
    /// Its name.
    pub function: String,
}

/// The path from `main` to a symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// The symbol.
    pub symbol: String,
    /// The functions, the outermost first.
    pub steps: Vec<Step>,
}

impl Chain {
    /// The index in `steps` of the innermost function that is not in the standard library.
    pub fn asked(&self) -> Option<&Step> {
        self.steps.iter().rev().find(|step| !is_std(&step.part)).or(self.steps.last())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(asked) = self.asked() else { return f.write_str("code that cannot be named") };
        write!(f, "crate {}: {}", asked.part, asked.function)?;
        let below = self.steps.iter().rev().take_while(|step| is_std(&step.part));
        // The function of the standard library that it called is what its author wrote.
        match below.last() {
            Some(called) if called != asked => write!(f, " calls {}", called.function),
            _ => Ok(()),
        }
    }
}

fn is_std(part: &str) -> bool {
    matches!(part, "std" | "core" | "alloc" | "panic_unwind" | "std_detect")
}

/// The paths to those of the symbols that are reachable, optionally avoiding functions of the crate `left_out`.
pub fn chains(program: &Program, symbols: &[String], left_out: Option<&str>) -> Vec<Chain> {
    let mut graph = graph(program);
    if let Some(part) = left_out {
        graph.leave_out(part);
    }
    graph.search(symbols)
}

fn graph(program: &Program) -> Graph {
    let mut graph = Graph::default();
    for path in program.files() {
        if let Ok(data) = fs::read(path) {
            let part = part_of(path);
            members(&data, |member| graph.add(&part, member));
        }
    }
    graph
}

/// The global symbol of the function by which std's panic hook prints a backtrace; None if the program
/// has none, or one that was compiled into the rest by link-time optimization.
pub fn backtrace_printer(program: &Program) -> Option<String> {
    let may_have_it = |path: &&Path| {
        path.extension().is_some_and(|extension| extension == "o") || part_of(path) == "std"
    };
    program.files().filter(may_have_it).find_map(|path| {
        let data = fs::read(path).ok()?;
        let mut found = None;
        members(&data, |member| {
            let Ok(file) = ElfFile64::<object::Endianness>::parse(member) else { return };
            let printer =
                file.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition());
            let mut names = printer.filter_map(|symbol| symbol.name().ok());
            found = found.take().or(names
                .find(|name| name.contains("DisplayBacktrace") && name.ends_with("3fmt"))
                .map(str::to_owned));
        });
        found
    })
}

/// The crate or library of a file: `libserde-0123456789abcdef.rlib` belongs to `serde`, and files in
/// `app-0123456789abcdef.objects/` belong to `app`.
fn part_of(path: &Path) -> String {
    let dir = path.parent().filter(|dir| dir.extension().is_some_and(|is| is == "objects"));
    let stem = dir.unwrap_or(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    let library = if dir.is_some() { stem } else { stem.strip_prefix("lib").unwrap_or(stem) };
    match library.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => library.to_owned(),
    }
}

/// Calls `use_object` with each object of an archive, or with the object itself.
fn members<'a>(data: &'a [u8], mut use_object: impl FnMut(&'a [u8])) {
    match ArchiveFile::parse(data) {
        Ok(archive) => {
            let objects = archive.members().flatten().filter_map(|member| member.data(data).ok());
            objects.for_each(&mut use_object);
        }
        Err(_) => use_object(data),
    }
}

#[derive(Default)]
struct Graph {
    sections: Vec<Section>,
    /// The definition of a global symbol.
    global: HashMap<String, usize>,
    roots: Vec<usize>,
}

struct Section {
    part: String,
    /// The function's name; empty for data.
    function: String,
    /// Sections of the same object.
    local: Vec<usize>,
    /// Symbols of other objects.
    global: Vec<String>,
}

impl Graph {
    fn add(&mut self, part: &str, data: &[u8]) {
        let Ok(file) = ElfFile64::<object::Endianness>::parse(data) else { return };
        let first = self.sections.len();
        for section in file.sections() {
            let name = section.name().unwrap_or("");
            let text = name.strip_prefix(".text.").map(|name| name.trim_start_matches("unlikely."));
            let function = text.map_or(String::new(), readable);
            self.sections.push(Section {
                part: crate_of(&function).unwrap_or(part).to_owned(),
                function,
                local: Vec::new(),
                global: Vec::new(),
            });
            if name.starts_with(".init_array") {
                self.roots.push(self.sections.len() - 1);
            }
        }
        let Some(lowest) = file.sections().next().map(|section| section.index().0) else { return };
        for symbol in file.symbols().filter(|symbol| symbol.is_global()) {
            if let (SymbolSection::Section(index), Ok(name)) = (symbol.section(), symbol.name()) {
                let place = first + index.0 - lowest;
                self.global.entry(name.to_owned()).or_insert(place);
                if name == "main" {
                    self.roots.insert(0, place);
                }
            }
        }
        for section in file.sections() {
            let from = first + section.index().0 - lowest;
            for (_, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else { continue };
                let Ok(symbol) = file.symbol_by_index(index) else { continue };
                match symbol.section() {
                    SymbolSection::Section(index) => {
                        self.sections[from].local.push(first + index.0 - lowest);
                    }
                    _ => self.sections[from].global.extend(symbol.name().ok().map(str::to_owned)),
                }
            }
        }
    }

    /// Removes all calls from the functions and data of a crate.
    fn leave_out(&mut self, part: &str) {
        for section in self.sections.iter_mut().filter(|section| section.part == part) {
            section.local.clear();
            section.global.clear();
        }
    }

    /// Breadth first, so that the paths are the shortest ones.
    fn search(&self, symbols: &[String]) -> Vec<Chain> {
        let mut came_from: HashMap<usize, Option<usize>> = HashMap::new();
        let mut queue: VecDeque<usize> = VecDeque::new();
        for &root in &self.roots {
            came_from.entry(root).or_insert(None);
            queue.push_back(root);
        }
        let mut open: HashSet<&String> = symbols.iter().collect();
        let mut chains = Vec::new();
        while let Some(place) = queue.pop_front() {
            let section = &self.sections[place];
            for name in &section.global {
                if open.remove(name) {
                    chains.push(Chain { symbol: name.clone(), steps: self.way(place, &came_from) });
                }
            }
            let others = section.global.iter().filter_map(|name| self.global.get(name));
            for &next in section.local.iter().chain(others) {
                came_from.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    Some(place)
                });
            }
        }
        chains
    }

    fn way(&self, end: usize, came_from: &HashMap<usize, Option<usize>>) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut place = Some(end);
        while let Some(here) = place {
            let Section { part, function, .. } = &self.sections[here];
            if !function.is_empty() || here == end {
                let function = if function.is_empty() { "its code or data" } else { function };
                steps.push(Step { part: part.clone(), function: function.to_owned() });
            }
            place = came_from.get(&here).copied().flatten();
        }
        steps.reverse();
        steps
    }
}

/// A name as in the source, without hash and disambiguators.
fn readable(symbol: &str) -> String {
    try_demangle(symbol).map_or_else(|_| symbol.to_owned(), |name| format!("{name:#}"))
}

/// The crate of a Rust function: the first part of its path, or of its type's.
fn crate_of(function: &str) -> Option<&str> {
    let (path, _) = function.split_once("::")?;
    let start = path.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    Some(&path[start..]).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_by_a_path_or_a_file() {
        assert_eq!(crate_of("serde::de::visit"), Some("serde"));
        assert_eq!(crate_of("<tokio::net::TcpStream as core::ops::Drop>::drop"), Some("tokio"));
        assert_eq!(crate_of("<&mut foo_bar::X>::f"), Some("foo_bar"));
        assert_eq!(crate_of("deflate"), None);
        assert_eq!(part_of(Path::new("/x/libserde_json-0123456789abcdef.rlib")), "serde_json");
        assert_eq!(part_of(Path::new("/x/libz.a")), "z");
        assert_eq!(part_of(Path::new("/x/app-0123456789abcdef.objects/1.o")), "app");
    }

    fn section(function: &str, local: &[usize], global: &[&str]) -> Section {
        Section {
            part: crate_of(function).unwrap_or("file").into(),
            function: function.into(),
            local: local.into(),
            global: global.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn the_shortest_way_is_found_through_data_and_what_is_not_reached_is_not() {
        let graph = Graph {
            sections: vec![
                section("app::main", &[1], &[]),
                section("", &[], &["spawn"]),
                section("std::process::spawn", &[], &["fork"]),
                section("other::unused", &[], &["execvp"]),
            ],
            global: HashMap::from([("spawn".to_owned(), 2)]),
            roots: vec![0],
        };
        let chains = graph.search(&["fork".into(), "execvp".into()]);
        assert_eq!(chains.len(), 1);
        assert_eq!(chains[0].asked().unwrap().function, "app::main");
        assert_eq!(chains[0].to_string(), "crate app: app::main calls std::process::spawn");
    }

    #[test]
    fn what_a_crate_alone_asks_for_is_not_reached_without_it() {
        let mut graph = Graph {
            sections: vec![
                section("app::main", &[1], &["write"]),
                section("test::run_test", &[], &["fork", "write"]),
            ],
            global: HashMap::new(),
            roots: vec![0],
        };
        assert_eq!(graph.search(&["fork".into(), "write".into()]).len(), 2);
        graph.leave_out("test");
        let left = graph.search(&["fork".into(), "write".into()]);
        assert_eq!(left.iter().map(|chain| chain.symbol.as_str()).collect::<Vec<_>>(), ["write"]);
    }
}
