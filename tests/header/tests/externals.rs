//! Every OCaml `external` that names a function of the C ABI agrees with the header: its name, the
//! number of its arguments, and how each one is passed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The parameters of a function, and its result.
#[derive(PartialEq, Eq, Debug)]
struct Signature {
    parameters: Vec<&'static str>,
    result: &'static str,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// How a C type travels between the languages.
fn class_of_c(c_type: &str) -> &'static str {
    match c_type.trim().trim_start_matches("const ") {
        "intptr_t" | "uintptr_t" => "int",
        "int64_t" | "uint64_t" => "int64",
        "int32_t" => "int32",
        "double" => "float",
        "uint8_t *" => "bytes",
        "value" => "value",
        other => panic!("the ABI has no use for the C type {other:?}"),
    }
}

/// How an argument of an OCaml external travels.
fn class_of_ocaml(ocaml_type: &str) -> &'static str {
    match ocaml_type.trim() {
        "(int[@untagged])" => "int",
        "(int64[@unboxed])" => "int64",
        "(int32[@unboxed])" => "int32",
        "(float[@unboxed])" => "float",
        "bytes" | "string" => "bytes",
        _ => "value",
    }
}

/// Removes comments, and joins lines.
fn without_comments(text: &str, open: &str, close: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(open) {
        out.push_str(before);
        rest = after.split_once(close).map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The functions of the header.
fn header() -> BTreeMap<String, Signature> {
    let text = fs::read_to_string(root().join("ffi/include/mirust.h")).expect("the header");
    let code: Vec<&str> = text.lines().filter(|line| !line.trim().starts_with("//")).collect();
    let text = without_comments(&code.join("\n"), "/*", "*/");
    let mut functions = BTreeMap::new();
    for (at, _) in text.match_indices(" mirust_") {
        let before = text[..at].rsplit([';', '}', '{', '"']).next().expect("a piece");
        let result = before.rsplit_once(' ').map_or(before, |(_, last)| last);
        let declaration = text[at + 1..].split_once(';').expect("an end").0;
        let (name, parameters) = declaration.split_once('(').expect("a function");
        let parameters = parameters.trim_end_matches(')');
        let parameters = parameters.split(',').filter(|&p| p.trim() != "void").map(|parameter| {
            let end = parameter.rfind(|c: char| !c.is_alphanumeric() && c != '_').expect("a name");
            class_of_c(&parameter[..=end])
        });
        let signature = Signature { parameters: parameters.collect(), result: class_of_c(result) };
        functions.insert(name.to_owned(), signature);
    }
    functions
}

/// One `external` of an OCaml file.
struct External {
    file: PathBuf,
    symbol: String,
    signature: Signature,
    unit_argument: bool,
    noalloc: bool,
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "ml" || e == "mli") {
            files.push(path);
        }
    }
}

fn externals() -> Vec<External> {
    let mut files = Vec::new();
    sources(&root().join("ocaml-stubs"), &mut files);
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let text = without_comments(&text, "(*", "*)");
        for piece in text.split("external ").skip(1) {
            let Some((head, tail)) = piece.split_once(" = \"") else { continue };
            let Some((_, types)) = head.split_once(" : ") else { continue };
            // One name, or the bytecode's and the native code's; then attributes.
            let (mut symbol, mut rest) = tail.split_once('"').expect("a closing quote");
            if let Some(second) = rest.trim_start().strip_prefix('"') {
                (symbol, rest) = second.split_once('"').expect("a closing quote");
            }
            // What `#[mirust::export]` makes is not part of the C ABI, nor is what Mirage's packages and ours for them
            // take from the crate's part for Mirage: `ffi/src/mirage` has values in its signatures.
            let others = ["mirust_ocaml_", "mirust_mirage_"];
            if !symbol.starts_with("mirust_") || others.iter().any(|o| symbol.starts_with(o)) {
                continue;
            }
            let mut types: Vec<&str> = types.split(" -> ").map(str::trim).collect();
            let result = class_of_ocaml(types.pop().expect("a result"));
            let unit_argument = types == ["unit"];
            let parameters = if unit_argument { &[][..] } else { &types[..] };
            found.push(External {
                file: file.clone(),
                symbol: symbol.to_owned(),
                signature: Signature {
                    parameters: parameters.iter().map(|t| class_of_ocaml(t)).collect(),
                    result,
                },
                unit_argument,
                noalloc: rest.trim_start().starts_with("[@@noalloc]"),
            });
        }
    }
    found
}

#[test]
fn every_external_agrees_with_the_header() {
    let header = header();
    let externals = externals();
    assert!(externals.len() > 10, "the parser has lost them");
    for external in &externals {
        let (symbol, file) = (&external.symbol, external.file.display());
        let declared = header.get(symbol);
        let declared = declared.unwrap_or_else(|| panic!("{file}: {symbol} is not in the header"));
        assert_eq!(declared, &external.signature, "{file}: {symbol}");
        assert_eq!(external.unit_argument, declared.parameters.is_empty(), "{file}: {symbol}");
    }
}

#[test]
fn only_what_runs_ocaml_or_allocates_is_not_noalloc() {
    for external in externals() {
        let runs_ocaml = [
            "mirust_exchange",
            "mirust_net_heads",
            "mirust_net_spare",
            "mirust_net_view",
            "mirust_net_words",
            "mirust_poll",
            "mirust_turn_end",
            "mirust_turn_words",
        ];
        let runs_ocaml = runs_ocaml.contains(&external.symbol.as_str());
        let file = external.file.display();
        assert_eq!(external.noalloc, !runs_ocaml, "{file}: {}", external.symbol);
    }
}

#[test]
fn every_function_has_an_external() {
    let used: BTreeSet<String> = externals().into_iter().map(|e| e.symbol).collect();
    for name in header().keys() {
        assert!(used.contains(name), "no OCaml code calls {name}");
    }
}
