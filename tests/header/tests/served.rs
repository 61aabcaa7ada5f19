//! What OCaml serves to `mirust::net` is in tables of `ffi/src/net`: `ocaml-stubs/rust/served.ml`, by which OCaml
//! does, is made of them by `make header`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn source(name: &str) -> String {
    fs::read_to_string(root().join("ffi/src/net").join(name)).expect("a source")
}

/// `UserTimeout` as `user_timeout`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// `UserTimeout` as `User_timeout`.
fn constructor(name: &str) -> String {
    let name = snake(name);
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

/// The bodies of the macro calls that begin with `opening`, up to a brace at the same depth.
fn calls<'a>(text: &'a str, opening: &str) -> Vec<&'a str> {
    let pieces = text.split(opening).skip(1);
    pieces.map(|piece| piece.split_once("\n}\n").expect("a closing brace").0).collect()
}

/// The lines that are no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///"))
}

/// `a, b<c, d>` at its commas that are in no brackets.
fn arguments(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts
}

/// An OCaml type for one of Rust's. Those that OCaml alone knows are asked for by `opaque`.
fn translate(rust: &str, opaque: &mut BTreeSet<String>) -> String {
    let inner = |name: &str| rust.strip_prefix(name)?.strip_prefix('<')?.strip_suffix('>');
    if let Some(of) = inner("Reply") {
        return format!("({}, error) result", translate(of, opaque));
    }
    if let Some(of) = inner("Later") {
        return format!("({}, error) result Lwt.t", translate(of, opaque));
    }
    if let Some(of) = inner("Option") {
        return format!("{} option", translate(of, opaque));
    }
    if let Some(of) = inner("OCamlList") {
        return format!("{} list", translate(of, opaque));
    }
    let known = match rust {
        "()" => "unit",
        "bool" => "bool",
        "isize" | "OCamlInt" => "int",
        "String" => "string",
        "OCamlCstruct" => "Cstruct.t",
        "Datagram" => "(Cstruct.t * string)",
        "Side" => "side",
        "Setting" => "setting",
        _ => {
            let name = inner("Record").unwrap_or(rust);
            let name = snake(name.strip_prefix("OCaml").unwrap_or(name));
            opaque.insert(name.clone());
            return format!("T.{name}");
        }
    };
    known.to_owned()
}

/// The external of one table: its comment, name and functions.
fn external(table: &str, opaque: &mut BTreeSet<String>) -> String {
    let said = table.lines().find_map(|line| line.trim().strip_prefix("/// ")).expect("a comment");
    let mut lines = code(table);
    let head = lines.next().expect("the table's head");
    let symbol = head.split('"').nth(1).expect("a symbol");
    let name = head.split(" in ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a name");
    let mut out = format!("\n  (* {said} *)\n  external {name} :\n");
    for entry in lines.map(|line| line.trim_end_matches(',')) {
        let (label, function) = entry.split_once(": fn(").expect("a function");
        let (from, to) = function.split_once(") -> ").expect("a result");
        let mut types: Vec<String> =
            arguments(from).iter().map(|rust| translate(rust, opaque)).collect();
        types.push(translate(to, opaque));
        writeln!(out, "    {label}:({}) ->", types.join(" -> ")).unwrap();
    }
    writeln!(out, "    unit = \"mirust_native_only\" \"{symbol}\"").unwrap();
    out
}

fn generate() -> String {
    let numbers = source("numbers.rs");
    let mut out = String::from(
        "[@@@ocamlformat \"disable\"]\n\n\
         (* Generated from ffi/src/net/serve.rs and numbers.rs: edit those, then run `make header`. *)\n\n",
    );
    for name in ["NOT_TAKEN", "FIRST_ERROR"] {
        let (_, rest) = numbers.split_once(&format!("const {name}: i64 = ")).expect("a constant");
        let (value, _) = rest.split_once(';').expect("its end");
        writeln!(out, "let {} = {value}", name.to_lowercase()).unwrap();
    }
    let (_, errors) = numbers.split_once("const ERRORS: [Error; ").expect("the errors");
    let (_, errors) = errors.split_once(" = [").expect("the errors");
    let (errors, _) = errors.split_once(']').expect("their end");
    let errors = code(errors).map(|line| line.trim_matches(',').trim_start_matches("Error::"));
    let errors: Vec<String> = errors.map(constructor).collect();
    writeln!(out, "\ntype error = {}", errors.join(" | ")).unwrap();
    for body in calls(&numbers, "\nnumbered! {\n") {
        let mut lines = code(body);
        let name = lines.next().expect("a name").trim_end_matches(" {");
        let constructors: Vec<String> = lines
            .take_while(|line| *line != "}")
            .map(|line| constructor(line.trim_end_matches(',')))
            .collect();
        writeln!(out, "type {} = {}", snake(name), constructors.join(" | ")).unwrap();
    }
    let mut opaque = BTreeSet::new();
    let externals: Vec<String> = calls(&source("serve.rs"), "\nserved! {\n")
        .iter()
        .map(|table| external(table.rsplit_once("\n    }").expect("an end").0, &mut opaque))
        .collect();
    assert_eq!(externals.len(), 6, "the parser has lost some");
    out.push_str("\nmodule type TYPES = sig\n");
    for name in &opaque {
        writeln!(out, "  type {name}").unwrap();
    }
    write!(out, "end\n\nmodule Of (T : TYPES) = struct{}end\n", externals.concat()).unwrap();
    out
}

#[test]
fn ocaml_serves_what_rust_asks_for() {
    let path = root().join("ocaml-stubs/rust/served.ml");
    let fresh = generate();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).expect("written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "ocaml-stubs/rust/served.ml is stale: run `make header`");
}
