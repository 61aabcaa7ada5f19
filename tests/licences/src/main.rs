//! Lists the licence of everything that an image, or `mirust-summon`, is linked from, and fails if one is unknown or
//! does not fit ours.
//!
//! `mirust-licences OTHERS` takes the Rust crates from cargo, the names of OCaml libraries from standard input, one a
//! line, and what is known of these and of the rest from the file OTHERS.

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use std::{
    collections::{BTreeSet, HashMap},
    io::Read,
};

/// Licences of code that may be linked into a program under the ISC licence, and that ask no more of its distributors
/// than to keep notices. Licences that ask for more are listed only with an exception for linking.
const FITTING: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "GPL-3.0-or-later WITH GCC-exception-3.1",
    "ISC",
    "LGPL-2.1-only WITH OCaml-LGPL-linking-exception",
    "LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether one of the alternatives of an expression is made of fitting licences only.
fn fits(expression: &str) -> Result<bool> {
    // A slash is how crates said OR before there were expressions.
    let expression = expression.replace('/', " OR ");
    let parsed = spdx::Expression::parse(&expression)
        .with_context(|| format!("{expression} is no licence expression"))?;
    Ok(parsed.evaluate(|one| FITTING.contains(&one.to_string().as_str())))
}

/// One part of an image.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    kind: String,
    name: String,
    licence: String,
}

/// The crates of others that ours are linked with, those for building and testing alone left out.
fn crates(metadata: &Metadata) -> Result<Vec<Part>> {
    let resolve = metadata.resolve.as_ref().context("cargo resolved nothing")?;
    let nodes: HashMap<&PackageId, _> = resolve.nodes.iter().map(|n| (&n.id, n)).collect();
    let mut found = BTreeSet::new();
    // Tests, and what runs in the compiler or beside it, are not linked into any.
    let linked = |path: &str| {
        ["/rust-rt/", "/ffi/", "/examples/"].iter().any(|room| path.contains(room))
            && !["/cargo-mirust/", "/bindgen/", "/macros/", "/notation/"]
                .iter()
                .any(|tool| path.contains(tool))
    };
    let root = &metadata.workspace_root;
    let mut todo: Vec<&PackageId> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|p| {
            p.manifest_path.strip_prefix(root).is_ok_and(|path| linked(&format!("/{path}")))
        })
        .map(|p| &p.id)
        .collect();
    ensure!(!todo.is_empty(), "no crates of ours");
    while let Some(id) = todo.pop() {
        if found.insert(id) {
            let needs = nodes.get(id).context("a crate that was not resolved")?.deps.iter();
            todo.extend(
                needs
                    .filter(|d| d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal))
                    .map(|d| &d.pkg)
                    // A macro runs in the compiler.
                    .filter(|id| !metadata[*id].targets.iter().any(|t| t.is_proc_macro())),
            );
        }
    }
    let parts = found.into_iter().map(|id| &metadata[id]).filter(|p| p.source.is_some());
    Ok(parts
        .map(|p| Part {
            kind: "crate".into(),
            name: format!("{} {}", p.name, p.version),
            licence: p.license.clone().unwrap_or_default(),
        })
        .collect())
}

/// What the file says: kind, name and licence on a line, and a comment.
fn others(text: &str) -> Result<Vec<Part>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().map(String::from);
            let (kind, name) = (word(), word());
            let (Some(kind), Some(name)) = (kind, name) else { bail!("not a part: {line}") };
            Ok(Part { kind, name, licence: words.collect::<Vec<_>>().join(" ") })
        })
        .collect()
}

/// What is linked and not known, and what is known and not linked: libraries that are used where they are installed.
fn compare(known: &[Part], libraries: &BTreeSet<&str>) -> (Vec<String>, Vec<String>) {
    let named: BTreeSet<&str> = known
        .iter()
        .filter(|part| part.kind == "ocaml" && part.name != "runtime")
        .map(|part| part.name.as_str())
        .collect();
    let unknown = libraries.difference(&named).map(|name| format!("{name}: of unknown licence"));
    let unused = named.difference(libraries).map(|name| format!("{name}: not linked here"));
    (unknown.collect(), unused.collect())
}

fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("which file lists what is not a crate?")?;
    let metadata = MetadataCommand::new()
        .other_options(
            ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(Into::into),
        )
        .features(cargo_metadata::CargoOpt::AllFeatures)
        .exec()?;
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let libraries: BTreeSet<&str> = input.lines().filter(|line| !line.is_empty()).collect();
    ensure!(!libraries.is_empty(), "no OCaml libraries on standard input");
    let known = others(&std::fs::read_to_string(&file).context(file)?)?;
    let (mut faults, unused) = compare(&known, &libraries);
    unused.iter().for_each(|name| eprintln!("{name}"));
    let mut parts = known;
    parts.extend(crates(&metadata)?);
    parts.sort();
    for Part { kind, name, licence } in &parts {
        println!("{kind:6} {name:32} {licence}");
        match fits(licence) {
            Ok(true) => {}
            Ok(false) => faults.push(format!("{name}: {licence} does not fit")),
            Err(error) => faults.push(format!("{name}: {error:#}")),
        }
    }
    eprintln!("{} parts, {} that do not fit", parts.len(), faults.len());
    faults.iter().for_each(|fault| eprintln!("  {fault}"));
    ensure!(faults.is_empty(), "not everything that is linked fits LICENSE.md");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits() {
        for good in
            ["MIT", "MIT/Apache-2.0", "GPL-2.0-only OR ISC", "(MIT OR Apache-2.0) AND Unicode-3.0"]
        {
            assert!(fits(good).unwrap(), "{good}");
        }
        for bad in ["GPL-3.0-or-later", "MIT AND GPL-2.0-only", "LGPL-2.1-only", "MPL-2.0"] {
            assert!(!fits(bad).unwrap(), "{bad}");
        }
        for unknown in ["", "Nonsense"] {
            assert!(fits(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn unknown_and_unused_libraries_are_told() {
        let known =
            others("ocaml lwt MIT # there\nocaml old ISC\nocaml runtime MIT\nc x MIT").unwrap();
        let (unknown, unused) = compare(&known, &BTreeSet::from(["lwt", "new"]));
        assert_eq!(unknown, ["new: of unknown licence"]);
        assert_eq!(unused, ["old: not linked here"]);
    }
}
