//! Runs on the host; makes an archive of C code as the crate `cc` does.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let object = Path::new(&out).join("twice.o");
    let run = |command: &mut Command| assert!(command.status().expect("it runs").success());
    run(Command::new("cc").args(["-O2", "-fPIC", "-c", "src/twice.c", "-o"]).arg(&object));
    run(Command::new("ar").args(["crs"]).arg(Path::new(&out).join("libtwice.a")).arg(&object));
    println!("cargo::rerun-if-changed=src/twice.c");
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=static=twice");
    println!("cargo::rustc-env=BUILT_FOR={}", env::var("TARGET").expect("cargo sets it"));
}
