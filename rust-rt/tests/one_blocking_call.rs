//! An image blocks in one place only. That is a property of the sources, so the sources are read.
#![allow(missing_docs)]

use std::{fs, path::Path};

/// Lines of code (no comments, no tests) of all crates here that contain `needle`, as `file: line`.
fn uses(needle: &str) -> Vec<String> {
    fn visit(dir: &Path, needle: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).expect("the sources") {
            let path = entry.expect("the sources").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                visit(&path, needle, found);
            } else if name.ends_with(".rs") && !name.contains("tests") && name != "fake.rs" {
                let text = fs::read_to_string(&path).expect("the sources");
                let code = text.split("#[cfg(test)]\nmod").next().expect("at least one piece");
                let lines = code.lines().map(str::trim).filter(|line| !line.starts_with("//"));
                found.extend(lines.filter(|l| l.contains(needle)).map(|l| format!("{name}: {l}")));
            }
        }
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the crates") {
        let sources = entry.expect("the crates").path().join("src");
        if sources.is_dir() {
            visit(&sources, needle, &mut found);
        }
    }
    found.sort();
    found
}

/// The files that contain `needle`, each as often as it does.
fn files(needle: &str) -> Vec<String> {
    uses(needle).iter().map(|found| found.split(':').next().expect("a name").into()).collect()
}

#[test]
fn one_hypercall_blocks_and_one_function_makes_it() {
    assert_eq!(files("abi::SCHEDOP_poll"), ["hypercall.rs"]);
    assert_eq!(files("hypervisor.poll("), ["sched.rs"]);
    // The other operation of the scheduler ends the domain, or has it frozen.
    assert_eq!(files("abi::__HYPERVISOR_sched_op"), ["hypercall.rs"; 2]);
    assert_eq!(files("abi::SCHEDOP_"), ["hypercall.rs"; 2]);
}

/// A domain that is frozen is no domain that waits: no event ends it, no time passes in it, and nothing of the
/// domain could go on meanwhile. So it is not done in a poll, but by the one who follows the toolstack's request.
#[test]
fn one_function_has_the_domain_frozen() {
    assert_eq!(files("hypervisor.suspend("), ["suspend.rs"]);
    assert_eq!(files("abi::SHUTDOWN_suspend"), ["hypercall.rs"]);
}

#[test]
fn the_cpu_is_halted_only_where_nothing_follows() {
    let halts = uses("\"hlt");
    assert!(halts.iter().all(|halt| halt.starts_with("cpu.rs:")), "{halts:?}");
}
