//! What the OCaml libraries know of the header's constants and structs is made of the header: a file
//! `header.ml` in each of them, by `make header`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The libraries, each with the prefix of the names that are its own. What has no other's is the core's.
const LIBRARIES: [(&str, &str); 3] = [("vif", "net"), ("block", "block"), ("mirust", "")];

/// A struct of the header: its name, and its fields with what is said of them.
struct Struct {
    name: String,
    fields: Vec<(String, String)>,
}

/// The library that a name of the header belongs to, and the name without its prefix.
fn owner(name: &str) -> (&'static str, &str) {
    let mine = LIBRARIES.iter().find_map(|(library, prefix)| {
        let rest = name.strip_prefix(prefix)?;
        Some((*library, rest.strip_prefix('_').unwrap_or(rest)))
    });
    mine.expect("the core takes all")
}

fn constants(header: &str) -> Vec<(String, String)> {
    let lines = header.lines().filter_map(|line| line.strip_prefix("#define MIRUST_"));
    // But for the guard, all have a value.
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect()
}

fn structs(header: &str) -> Vec<Struct> {
    let bodies = header.split("typedef struct Mirust").skip(1);
    bodies
        .map(|text| {
            let (name, rest) = text.split_once(" {").expect("a body");
            let (body, _) = rest.split_once('}').expect("its end");
            let (mut fields, mut said) = (Vec::new(), String::new());
            for line in body.lines().map(str::trim) {
                if let Some(comment) = line.strip_prefix("// ") {
                    said = format!("{said} {comment}").trim().to_owned();
                } else if let Some(field) = line.strip_prefix("uint64_t ") {
                    let name = field.strip_suffix(';').expect("one field in a line");
                    fields.push((name.to_owned(), std::mem::take(&mut said)));
                } else {
                    assert!(line.is_empty(), "fields are of 64 bits, and not {line:?}");
                }
            }
            Struct { name: snake(name), fields }
        })
        .collect()
}

/// `NetStats` as `net_stats`.
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

fn generate(header: &str, library: &str) -> String {
    let mut out = String::from(
        "[@@@ocamlformat \"disable\"]\n\n\
         (* Generated from ffi/include/mirust.h: edit ffi/src, then run `make header`.\n   \
         What the names mean is said there. *)\n\n",
    );
    for (name, value) in constants(header) {
        let (of, name) = owner(&name);
        if of == library {
            writeln!(out, "let {name} = {value}").unwrap();
        }
    }
    for Struct { name, fields } in structs(header) {
        let (of, name) = owner(&name);
        if of != library {
            continue;
        }
        let (first, rest) = name.split_at(1);
        writeln!(out, "\nmodule {}{rest} = struct\n  type t = {{", first.to_uppercase()).unwrap();
        for (field, said) in &fields {
            writeln!(out, "    {field} : int; (* {said} *)").unwrap();
        }
        let bytes = 8 * fields.len();
        writeln!(
            out,
            "  }}\n\n  (* As the function [fill] of the C ABI fills it in. *)\n  \
             let get fill =\n    let b = Bytes.make {bytes} '\\000' in\n    \
             ignore (fill b {bytes} : int);\n    \
             let field at = Int64.to_int (Bytes.get_int64_ne b at) in\n    {{"
        )
        .unwrap();
        for (i, (field, _)) in fields.iter().enumerate() {
            writeln!(out, "      {field} = field {};", 8 * i).unwrap();
        }
        out.push_str("    }\nend\n");
    }
    out
}

#[test]
fn ocaml_has_what_the_header_has() {
    let header = fs::read_to_string(root().join("ffi/include/mirust.h")).expect("the header");
    assert!(
        constants(&header).len() > 30 && structs(&header).len() == 6,
        "the parser has lost some"
    );
    for (library, _) in LIBRARIES {
        let path = root().join("ocaml-stubs").join(library).join("header.ml");
        let fresh = generate(&header, library);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &fresh).expect("written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == fresh, "{}: stale: run `make header`", path.display());
    }
}
