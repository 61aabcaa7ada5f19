//! Writes the OCaml side of a Rust module's exports: `mirust-bindgen --help`.

mod docs;
mod emit;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

const HELP: &str = "\
Writes the OCaml side of a Rust module: the functions and impl blocks in it that are marked
#[mirust::export], with their documentation.

  mirust-bindgen FILE.rs [-o DIR] [--name NAME]

  -o DIR        where NAME.ml and NAME.mli go (default: the current directory)
  --name NAME   the OCaml module (default: FILE; needed for lib.rs and mod.rs)

In a dune file:

  (rule
   (targets greeter.ml greeter.mli)
   (deps src/greeter.rs)
   (action
    (run mirust-bindgen src/greeter.rs)))
";

struct Command {
    file: PathBuf,
    directory: PathBuf,
    name: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match command(&arguments).and_then(|command| run(&command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line.
fn command(arguments: &[String]) -> Result<Command, String> {
    let (mut file, mut directory, mut name) = (None, None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().cloned().ok_or(wrong(&format!("{argument} needs a value")));
        match &**argument {
            "-o" => directory = Some(value()?),
            "--name" => name = Some(value()?),
            option if option.starts_with('-') => {
                return Err(wrong(&format!("there is no option {option}")));
            }
            _ if file.is_some() => return Err(wrong("one file at a time")),
            _ => file = Some(PathBuf::from(argument)),
        }
    }
    let file = file.ok_or_else(|| wrong("which file?"))?;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = match (name, stem) {
        (Some(name), _) => name,
        (None, Some(stem)) if !["lib", "mod", "main"].contains(&&*stem) => stem,
        _ => {
            return Err(wrong(&format!(
                "{}: what is the module called? --name NAME",
                file.display()
            )));
        }
    };
    let sound = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !sound {
        return Err(wrong(&format!("{name:?} does not name an OCaml module's file")));
    }
    Ok(Command { file, directory: directory.unwrap_or_else(|| ".".into()).into(), name })
}

fn wrong(message: &str) -> String {
    format!("mirust-bindgen: {message} (see mirust-bindgen --help)")
}

fn run(command: &Command) -> Result<(), String> {
    let shown = command.file.display().to_string();
    let text = fs::read_to_string(&command.file).map_err(|error| format!("{shown}: {error}"))?;
    let module = source::read(&text).map_err(|errors| {
        let lines = errors
            .iter()
            .map(|(at, message)| format!("{shown}:{}:{}: {message}", at.line, at.column + 1));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    if module.is_empty() {
        return Err(format!("{shown}: nothing in it is marked #[mirust::export]"));
    }
    for (extension, text) in
        [("ml", emit::structure(&module, &shown)), ("mli", emit::signature(&module, &shown))]
    {
        let path = command.directory.join(format!("{}.{extension}", command.name));
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::command;

    fn parse(line: &str) -> Result<(String, String), String> {
        let arguments: Vec<String> = line.split_whitespace().map(String::from).collect();
        command(&arguments).map(|c| (c.name, c.directory.display().to_string()))
    }

    #[test]
    fn the_module_is_called_after_its_file() {
        assert_eq!(parse("src/greeter.rs"), Ok(("greeter".into(), ".".into())));
        assert_eq!(parse("-o out src/lib.rs --name rust"), Ok(("rust".into(), "out".into())));
    }

    #[test]
    fn a_command_that_makes_no_sense_says_what_is_missing() {
        for (line, why) in [
            ("", "which file?"),
            ("a.rs b.rs", "one file"),
            ("src/lib.rs", "--name NAME"),
            ("a.rs -o", "-o needs a value"),
            ("a.rs --nam x", "no option --nam"),
            ("a.rs --name X", "does not name"),
            ("a.rs --name a-b", "does not name"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(why) && error.contains("--help"), "{line}: {error}");
        }
    }
}
