//! Inputs as a text, one a line, and as the directory of files that libFuzzer wants.
//!
//! `corpus expand TEXT DIRECTORY` writes a file for each line; `corpus keep DIRECTORY TEXT` writes the text
//! from the files; `corpus list` names the targets.

use mirust_fuzz::{TARGETS, inputs};
use std::{fs, io};

fn expand(text: &str, directory: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (n, input) in inputs(&fs::read_to_string(text)?).iter().enumerate() {
        fs::write(format!("{directory}/kept-{n:04}"), input)?;
    }
    Ok(())
}

fn keep(directory: &str, text: &str) -> io::Result<()> {
    let mut all = fs::read_dir(directory)?
        .map(|file| fs::read(file?.path()))
        .collect::<io::Result<Vec<Vec<u8>>>>()?;
    all.sort_by_key(|input| (input.len(), input.clone()));
    all.dedup();
    let hex = |input: &Vec<u8>| input.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    fs::write(text, all.iter().filter(|input| !input.is_empty()).map(hex).collect::<String>())
}

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["expand", text, directory] => expand(text, directory),
        ["keep", directory, text] => keep(directory, text),
        ["list"] => {
            TARGETS.iter().for_each(|(name, _)| println!("{name}"));
            Ok(())
        }
        _ => {
            eprintln!("corpus list | corpus expand TEXT DIRECTORY | corpus keep DIRECTORY TEXT");
            std::process::exit(64)
        }
    }
}
