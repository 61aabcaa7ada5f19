//! What the tool writes for `golden/greeter.rs`, to the letter; and what it says when it cannot.
//!
//! `UPDATE=1 cargo test -p mirust-bindgen` writes the files anew: look at the difference.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A directory that is the test's own.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirust-bindgen"));
    command.current_dir(directory).args(arguments).output().expect("the tool runs")
}

#[test]
fn the_ocaml_side_of_greeter_is_what_it_was() {
    let out = scratch("greeter");
    let output = run(&golden(), &["greeter.rs", "-o", out.to_str().expect("a path")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["greeter.ml", "greeter.mli"] {
        let written = fs::read_to_string(out.join(name)).expect("written");
        let expected = golden().join(name);
        if env::var_os("UPDATE").is_some() {
            fs::write(&expected, &written).expect("the sources can be written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(written, expected, "{name}: UPDATE=1 writes it anew");
    }
}

#[test]
fn a_module_with_streams_enables_them() {
    let out = scratch("streams");
    for (name, exported, enables) in [
        ("feeds", "fn countdown(from: isize) -> Feed<isize> {}", true),
        ("reads", "async fn total(numbers: LwtStream<isize>) -> isize {}", true),
        ("neither", "fn plain() {}", false),
    ] {
        let source = format!("{name}.rs");
        fs::write(out.join(&source), format!("#[mirust::export]\n{exported}\n")).expect("written");
        let output = run(&out, &[&source]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text =
            |ending| fs::read_to_string(out.join(name).with_extension(ending)).expect("written");
        assert_eq!(
            text("ml").ends_with("\nlet () = Mirust.Streams.enable ()\n"),
            enables,
            "{name}"
        );
        assert!(!text("mli").contains("Mirust.Streams"), "{name}");
    }
}

#[test]
fn nothing_is_written_if_anything_is_wrong() {
    let out = scratch("wrong");
    let source =
        "#[mirust::export]\nfn fine() {}\n#[mirust::export]\nfn wrong(x: usize) -> f32 {}\n";
    fs::write(out.join("wrong.rs"), source).expect("written");
    let output = run(&out, &["wrong.rs"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("wrong.rs:4:13: no OCaml type is known for `usize`"), "{said}");
    assert!(lines[1].starts_with("wrong.rs:4:23: no OCaml type is known for `f32`"), "{said}");
    assert!(!out.join("wrong.ml").exists() && !out.join("wrong.mli").exists());
}

#[test]
fn a_file_without_exports_and_one_that_is_not_there_are_mistakes() {
    let out = scratch("empty");
    fs::write(out.join("empty.rs"), "fn f() {}\n").expect("written");
    for (file, why) in [("empty.rs", "nothing in it"), ("missing.rs", "missing.rs: ")] {
        let output = run(&out, &[file]);
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn help_is_not_an_error() {
    let output = run(&golden(), &["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("(run mirust-bindgen"));
}
