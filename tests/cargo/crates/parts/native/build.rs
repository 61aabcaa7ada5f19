//! Runs on the host; makes an archive of C code as the crate `cc` does.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let object = |name: &str| Path::new(&out).join(name).with_extension("o");
    let run = |command: &mut Command| assert!(command.status().expect("it runs").success());
    let mut archive = Command::new("ar");
    archive.arg("crs").arg(Path::new(&out).join("libtwice.a"));
    for name in ["twice", "library"] {
        let source = format!("src/{name}.c");
        let own = if env::var_os("OWN_HEAP").is_some() { "-DOWN_HEAP" } else { "-UOWN_HEAP" };
        run(Command::new("cc")
            .args(["-O2", "-fPIC", "-D_GNU_SOURCE", own, "-c", &source, "-o"])
            .arg(object(name)));
        archive.arg(object(name));
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed=OWN_HEAP");
    run(&mut archive);
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=static=twice");
    let own = if env::var_os("LIBZ_SYS_STATIC").is_some() { ", own copies" } else { "" };
    println!("cargo::rustc-env=BUILT_FOR={}{own}", env::var("TARGET").expect("cargo sets it"));
}
