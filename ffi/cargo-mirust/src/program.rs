//! A record of what rustc would have linked.
//!
//! [`linker`](crate::linker) writes such a file in place of the program, so that cargo treats it as one. Its first line
//! is [`MAGIC`]; then comes one input per line, in link order. Objects that rustc removes after linking are kept in the
//! directory FILE.objects beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const MAGIC: &str = "#!cargo mirust: what an image is linked from, 1";

/// An input of the link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// An object, or an archive from which referenced members are linked.
    File(PathBuf),
    /// An archive that is linked as a whole.
    Whole(PathBuf),
    /// A library that does not exist as an archive; only its name is known.
    Missing(String),
}

/// A program to be linked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// Its inputs in order.
    pub inputs: Vec<Input>,
}

impl Program {
    /// Where the objects of the program `file` are kept.
    pub fn objects_of(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(".objects");
        name.into()
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// A path is not UTF-8 or has a line break, or `file` cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let mut text = format!("{MAGIC}\n");
        for input in &self.inputs {
            let (kind, name) = match input {
                Input::File(path) => ("file", path.to_str()),
                Input::Whole(path) => ("whole", path.to_str()),
                Input::Missing(name) => ("missing", Some(name.as_str())),
            };
            let Some(name) = name.filter(|name| !name.contains('\n')) else {
                bail!("cannot write down a path that is not plain text: {input:?}");
            };
            text += &format!("{kind} {name}\n");
        }
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// There is no such file, or it is something else.
    pub fn read(file: &Path) -> Result<Program> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        if bytes.starts_with(b"\x7fELF") {
            bail!(
                "another linker has linked {}\n\
                 a flag for rustc names it, `-C linker=…` in RUSTFLAGS or in `rustflags` of .cargo/config.toml, and wins \
                 over the linker of cargo mirust; name it by `linker` below [target.{}] instead, which does not",
                file.display(),
                crate::options::TARGET
            );
        }
        let text = String::from_utf8(bytes).unwrap_or_default();
        let Some(lines) = text.strip_prefix(MAGIC) else {
            bail!("{} was not built by cargo mirust", file.display());
        };
        let inputs = lines.lines().filter(|line| !line.is_empty()).map(|line| {
            let (kind, name) = line.split_once(' ').unwrap_or((line, ""));
            match kind {
                "file" => Ok(Input::File(name.into())),
                "whole" => Ok(Input::Whole(name.into())),
                "missing" => Ok(Input::Missing(name.into())),
                _ => bail!("{}: not an input: {line}", file.display()),
            }
        });
        Ok(Program { inputs: inputs.collect::<Result<_>>()? })
    }

    /// The objects and archives.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.inputs.iter().filter_map(|input| match input {
            Input::File(path) | Input::Whole(path) => Some(path.as_path()),
            Input::Missing(_) => None,
        })
    }

    /// A shared library among them, which cannot be linked into an image.
    pub fn shared_library(&self) -> Option<&Path> {
        self.files().find(|path| path.extension().is_some_and(|extension| extension == "so"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let dir = std::env::temp_dir().join(format!("mirust-program-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("it");
        let program = Program {
            inputs: vec![
                Input::File("/a/two words.o".into()),
                Input::Whole("/b.a".into()),
                Input::Missing("ssl".into()),
            ],
        };
        program.write(&file).unwrap();
        assert_eq!(Program::read(&file).unwrap(), program);
        assert_eq!(program.files().count(), 2);
        fs::write(&file, b"\x7fELF").unwrap();
        assert!(Program::read(&file).unwrap_err().to_string().contains("another linker"));
        fs::write(&file, b"#!").unwrap();
        assert!(Program::read(&file).unwrap_err().to_string().contains("not built by"));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_shared_library_is_found() {
        let mut program =
            Program { inputs: vec![Input::File("/a.o".into()), Input::Missing("so".into())] };
        assert_eq!(program.shared_library(), None);
        program.inputs.push(Input::File("/lib/libstd-1.so".into()));
        assert_eq!(program.shared_library(), Some(Path::new("/lib/libstd-1.so")));
    }

    #[test]
    fn a_path_with_a_line_break_is_refused() {
        let program = Program { inputs: vec![Input::File("a\nb".into())] };
        assert!(
            program.write(Path::new("/nonexistent/x")).unwrap_err().to_string().contains("plain")
        );
    }
}
