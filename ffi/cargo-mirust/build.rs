//! Notes what the command is built from: see `src/stamp.rs`.

#[allow(dead_code)]
#[path = "src/stamp.rs"]
mod stamp;

fn main() {
    for part in ["Cargo.toml", "src", "templates", "build.rs"] {
        println!("cargo::rerun-if-changed={part}");
    }
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let stamp = stamp::of(package.as_ref()).expect("a package can read its sources");
    println!("cargo::rustc-env=MIRUST_STAMP={stamp}");
}
