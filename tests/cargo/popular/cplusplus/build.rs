fn main() {
    println!("cargo::rerun-if-changed=src/words");
    cxx_build::bridge("src/bin/cxx.rs").file("src/words/words.cc").std("c++17").compile("words");
}
