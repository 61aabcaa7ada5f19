//! The checked-in header is what cbindgen makes of the sources, and a C compiler agrees with Rust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("ffi/cbindgen.toml")).expect("settings");
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root().join("ffi/src/abi.rs"))
        .with_src(root().join("ffi/src/devices.rs"))
        .with_src(root().join("ffi/src/frames.rs"))
        .with_src(root().join("ffi/src/receive.rs"))
        .with_src(root().join("ffi/src/disks.rs"))
        .with_src(root().join("ffi/src/token.rs"))
        .with_src(root().join("ffi/src/turn.rs"))
        .generate()
        .expect("a header");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("UTF-8");
    without_safety_sections(&text)
}

/// Rust's safety sections say what C's types and the header's introduction say as well.
fn without_safety_sections(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut lines = text.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        if line == "// # Safety" {
            // It is the last section; an empty line stands above it.
            while lines.next_if(|line| line.starts_with("//")).is_some() {}
            if kept.last() == Some(&"//") {
                kept.pop();
            }
        } else {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

#[test]
fn the_header_is_what_the_sources_give() {
    let path = root().join("ffi/include/mirust.h");
    let fresh = generate();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).expect("written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "ffi/include/mirust.h is stale: run `make header`");
}

/// Sizes and offsets, beside OCaml's own
/// headers, which a C stub would include as well.
const PROGRAM: &str = r#"
#include <stddef.h>
#include "mirust.h"
#include <caml/mlvalues.h>
#include <caml/alloc.h>
#include <caml/memory.h>
#include <caml/callback.h>

_Static_assert(sizeof(intptr_t) == sizeof(value), "an untagged int is an intptr_t");
_Static_assert(sizeof(struct MirustPollStats) == 56, "size");
_Static_assert(offsetof(struct MirustPollStats, polls) == 0, "offset");
_Static_assert(offsetof(struct MirustPollStats, blocks) == 8, "offset");
_Static_assert(offsetof(struct MirustPollStats, wakeups) == 16, "offset");
_Static_assert(offsetof(struct MirustPollStats, events) == 24, "offset");
_Static_assert(offsetof(struct MirustPollStats, tasks_run) == 32, "offset");
_Static_assert(offsetof(struct MirustPollStats, timers_fired) == 40, "offset");
_Static_assert(offsetof(struct MirustPollStats, completions) == 48, "offset");
_Static_assert(sizeof(struct MirustMemStats) == 32, "size");
_Static_assert(offsetof(struct MirustMemStats, total) == 0, "offset");
_Static_assert(offsetof(struct MirustMemStats, free) == 8, "offset");
_Static_assert(offsetof(struct MirustMemStats, heap) == 16, "offset");
_Static_assert(offsetof(struct MirustMemStats, mapped) == 24, "offset");
_Static_assert(sizeof(struct MirustNetInfo) == 32, "size");
_Static_assert(offsetof(struct MirustNetInfo, features) == 24, "offset");
_Static_assert(sizeof(struct MirustNetStats) == 144, "size");
_Static_assert(offsetof(struct MirustNetStats, links) == 136, "offset");
_Static_assert(sizeof(struct MirustBlockInfo) == 64, "size");
_Static_assert(offsetof(struct MirustBlockInfo, sector_size) == 16, "offset");
_Static_assert(offsetof(struct MirustBlockInfo, flags) == 32, "offset");
_Static_assert(offsetof(struct MirustBlockInfo, transfer_max) == 56, "offset");
_Static_assert(sizeof(struct MirustBlockStats) == 120, "size");
_Static_assert(offsetof(struct MirustBlockStats, reissued) == 112, "offset");
_Static_assert(MIRUST_ABI_VERSION == 3, "a new version wants new assertions");

int main(void) { return 0; }
"#;

/// The one machine that images are built for and on.
const TARGET: &str = "x86_64-unknown-linux-gnu";

#[test]
fn a_c_compiler_agrees_on_the_layout() {
    let ocaml = Command::new("ocamlfind").args(["ocamlc", "-where"]).output().expect("OCaml");
    let ocaml = String::from_utf8(ocaml.stdout).expect("UTF-8");
    let source = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("layout.c");
    fs::write(&source, PROGRAM).expect("written");
    for standard in ["c11", "gnu17"] {
        // The compiler that a stub's build would use (CC, CFLAGS), with its settings for this machine.
        let compiled = cc::Build::new()
            .cargo_output(false)
            .host(TARGET)
            .target(TARGET)
            .opt_level(0)
            .out_dir(env!("CARGO_TARGET_TMPDIR"))
            .std(standard)
            .extra_warnings(true)
            .warnings_into_errors(true)
            .include(root().join("ffi/include"))
            .include(ocaml.trim())
            .file(&source)
            .try_compile_intermediates();
        assert!(compiled.is_ok(), "{standard}: {compiled:?}");
    }
}
