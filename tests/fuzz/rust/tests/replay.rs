//! Every kept input once more: the corpus, and what has been found with it.

use mirust_fuzz::{TARGETS, inputs, kept};

#[test]
fn kept_inputs_still_do_no_harm() {
    for (name, target) in TARGETS {
        let corpus =
            std::fs::read_to_string(kept("corpus", name)).expect("each target has a corpus");
        let found = std::fs::read_to_string(kept("found", name)).unwrap_or_default();
        let all: Vec<Vec<u8>> = [inputs(&corpus), inputs(&found)].concat();
        assert!(!all.is_empty(), "{name} has no inputs");
        for input in &all {
            // A panic shows which one it was: add it to tests/fuzz/found.
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{name} {hex}");
            target(input);
        }
        eprintln!("{name}: {} inputs", all.len());
    }
}
