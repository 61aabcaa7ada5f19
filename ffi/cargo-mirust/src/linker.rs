//! rustc's linker: records what it is asked to link.
//!
//! The image is linked by `cargo mirust` itself, after cargo's build, since it depends on the runtime, which cargo does
//! not know. The C library and the compiler's own libraries are left out, since the runtime replaces them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::options::TARGET;
use crate::program::{Input, Program};

/// The name by which rustc calls this program, in the directory of everything that is built for images. It takes the
/// options of a C compiler, which is what rustc assumes of an unknown linker.
pub const NAME: &str = "mirust-linker";

/// Parts of the C library, and the compiler's own libraries.
const SUPPLIED: [&str; 11] =
    ["c", "dl", "gcc", "gcc_eh", "gcc_s", "m", "pthread", "resolv", "rt", "util", "unwind"];

/// Whether the program was called as a linker.
pub fn is_called_as_one(arguments: &[OsString]) -> bool {
    let name = arguments.first().and_then(|first| Path::new(first).file_name());
    name.is_some_and(|name| name == NAME)
}

/// Serves a call by rustc.
///
/// # Errors
///
/// There is an option without its argument, or a file cannot be written.
pub fn run(arguments: &[OsString]) -> Result<()> {
    let (this, arguments) = arguments.split_first().context("a linker without a name")?;
    let request = Request::parse(arguments)?;
    // Build scripts and procedural macros run on this machine: cargo has one linker per target, and here the machine's
    // target is the same. Only what is for the image is in its directory.
    let target = Path::new(this).with_file_name(TARGET);
    let is_doctest = is_doctest(&request.output);
    if request.shared || !(is_doctest || request.output.starts_with(target)) {
        return link_for_this_machine(arguments);
    }
    if is_doctest && request.has_all_doctests() {
        // Rustdoc then compiles them one by one.
        bail!(
            "tests that are one program run each other as processes, which a domain does not have"
        );
    }
    let objects = Program::objects_of(&request.output);
    // What an earlier build left there.
    if objects.exists() {
        fs::remove_dir_all(&objects).with_context(|| objects.display().to_string())?;
    }
    fs::create_dir_all(&objects).with_context(|| objects.display().to_string())?;
    let mut program = request.program;
    for (number, input) in program.inputs.iter_mut().enumerate() {
        let path = match input {
            Input::File(path) | Input::Whole(path) => path,
            Input::Missing(_) => continue,
        };
        // The image is linked in another directory than this: a build script may have named a folder of its package.
        *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
        if path.extension().is_some_and(|extension| extension == "o") {
            let kept = objects.join(format!("{number}.o"));
            // rustc never overwrites an existing file, so a hard link under another name is enough.
            if fs::hard_link(&*path, &kept).is_err() {
                fs::copy(&*path, &kept).with_context(|| path.display().to_string())?;
            }
            *path = kept;
        }
    }
    program.write(&request.output)
}

/// Whether this is the program of a documentation test, which rustdoc puts into a temporary directory.
fn is_doctest(output: &Path) -> bool {
    let dir = output.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    output.ends_with("rust_out") && dir.is_some_and(|name| name.starts_with("rustdoctest"))
}

/// Lets the C compiler link, as rustc does by itself.
fn link_for_this_machine(arguments: &[OsString]) -> Result<()> {
    let status = std::process::Command::new("cc").args(arguments).status();
    let status = status.context("cannot run the C compiler, cc, which links build scripts")?;
    // cc has reported the error.
    if status.success() { Ok(()) } else { bail!("cc could not link") }
}

/// What rustc asks for.
#[derive(Debug, Default)]
struct Request {
    output: PathBuf,
    shared: bool,
    program: Program,
}

impl Request {
    /// Whether this is the program into which rustdoc puts all the tests of a crate (from edition 2024 on).
    fn has_all_doctests(&self) -> bool {
        self.program.files().any(|path| path.to_string_lossy().contains(".doctest_runner_"))
    }

    fn parse(arguments: &[OsString]) -> Result<Request> {
        let mut request = Request::default();
        let arguments = expand(arguments)?;
        let mut directories: Vec<PathBuf> = Vec::new();
        let mut names = Vec::new();
        let mut whole = false;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy();
            let mut value = |short: &str| -> Result<OsString> {
                match text.strip_prefix(short) {
                    Some(rest) if !rest.is_empty() => Ok(rest.into()),
                    _ => arguments
                        .next()
                        .cloned()
                        .with_context(|| format!("{short} without its argument")),
                }
            };
            match text.as_ref() {
                "--whole-archive" => whole = true,
                "--no-whole-archive" => whole = false,
                "-shared" => request.shared = true,
                "-z" | "-soname" | "-rpath" | "-e" | "-T" | "-h" | "-u" | "-dynamic-linker" => {
                    value(&text)?;
                }
                _ if text.starts_with("-L") => directories.push(value("-L")?.into()),
                _ if text.starts_with("-l") => {
                    let name = value("-l")?.to_string_lossy().into_owned();
                    // Keeps its position; the file is resolved when all directories are known.
                    names.push((request.program.inputs.len(), name.clone(), whole));
                    request.program.inputs.push(Input::Missing(name));
                }
                _ if text.starts_with("-o") => request.output = value("-o")?.into(),
                _ if text.starts_with('-') => {}
                _ if whole => request.program.inputs.push(Input::Whole(argument.into())),
                _ => request.program.inputs.push(Input::File(argument.into())),
            }
        }
        if request.output.as_os_str().is_empty() {
            bail!("rustc's call of the linker has no -o");
        }
        for (place, name, whole) in names {
            if let Some(file) = find(&name, &directories) {
                request.program.inputs[place] =
                    if whole { Input::Whole(file) } else { Input::File(file) };
            }
        }
        let supplied = |input: &Input| matches!(input, Input::Missing(name) if SUPPLIED.contains(&name.as_str()));
        request.program.inputs.retain(|input| !supplied(input));
        Ok(request)
    }
}

/// The archive of a library. The machine's directories are not searched: their archives are for the machine's C
/// library. That of GNU's C++ library can do with ours.
fn find(name: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    if SUPPLIED.contains(&name) {
        return None;
    }
    let file = match name.strip_prefix(':') {
        Some(file) => file.to_owned(),
        None => format!("lib{name}.a"),
    };
    let own = directories.iter().map(|directory| directory.join(&file)).find(|path| path.exists());
    own.or_else(|| {
        let variable = |name: &str| std::env::var(name).ok();
        (name == "stdc++").then(|| cxx_library(&cxx_compiler(variable))).flatten()
    })
}

/// The C++ compiler, with what it is always given, as the crate `cc` finds it: what the archives of build scripts are
/// compiled with.
fn cxx_compiler(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let of_target = [format!("CXX_{TARGET}"), format!("CXX_{}", TARGET.replace('-', "_"))];
    let names = of_target.iter().map(String::as_str).chain(["HOST_CXX", "CXX"]);
    let value = names.into_iter().find_map(variable).unwrap_or_default();
    if Path::new(value.trim()).exists() {
        return vec![value.trim().to_owned()];
    }
    let words: Vec<String> = value.split_whitespace().map(String::from).collect();
    if words.is_empty() { vec!["c++".to_owned()] } else { words }
}

/// The archive of a C++ compiler's own library, if there is one.
fn cxx_library(compiler: &[String]) -> Option<PathBuf> {
    let (program, arguments) = compiler.split_first()?;
    let mut command = std::process::Command::new(program);
    let output = command.args(arguments).arg("-print-file-name=libstdc++.a").output();
    // A compiler that has none prints the name as it is.
    let path = PathBuf::from(String::from_utf8(output.ok()?.stdout).ok()?.trim());
    path.is_absolute().then_some(path)
}

/// The arguments as a C compiler passes them to the linker: without `-Wl,` and `-Xlinker`, and with argument files
/// expanded.
fn expand(arguments: &[OsString]) -> Result<Vec<OsString>> {
    let mut expanded = Vec::new();
    for argument in read_files(arguments)? {
        match argument.to_str() {
            Some("-Xlinker") => {}
            Some(text) if text.starts_with("-Wl,") => {
                expanded.extend(text["-Wl,".len()..].split(',').map(OsString::from));
            }
            _ => expanded.push(argument),
        }
    }
    Ok(expanded)
}

/// Replaces `@FILE` by the arguments in that file, one a line with backslashes before special characters, as
/// rustc writes them when there are too many.
fn read_files(arguments: &[OsString]) -> Result<Vec<OsString>> {
    let mut expanded = Vec::new();
    for argument in arguments {
        let text = argument.to_string_lossy();
        let Some(file) = text.strip_prefix('@') else {
            expanded.push(argument.clone());
            continue;
        };
        let list = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        for line in list.lines() {
            let mut word = String::new();
            let mut characters = line.chars();
            while let Some(c) = characters.next() {
                word.extend(if c == '\\' { characters.next() } else { Some(c) });
            }
            expanded.push(word.into());
        }
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Request {
        Request::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn inputs_are_kept_in_order_and_system_libraries_left_out() {
        let request = parse(
            "-m64 a.o -Wl,--as-needed -Wl,-Bstatic /d/libx.rlib -Wl,-Bdynamic -lgcc_s -lc -lssl -Wl,-z,noexecstack \
             -L /nowhere -o out -Wl,--gc-sections -pie -Wl,-O1 -nodefaultlibs",
        );
        assert_eq!(request.output, Path::new("out"));
        assert!(!request.shared);
        let inputs = [
            Input::File("a.o".into()),
            Input::File("/d/libx.rlib".into()),
            Input::Missing("ssl".into()),
        ];
        assert_eq!(request.program.inputs, inputs);
    }

    #[test]
    fn archives_are_found_in_directories_that_come_later() {
        let dir = std::env::temp_dir().join(format!("mirust-linker-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("libfoo.a"), "").unwrap();
        let request = parse(&format!(
            "-Wl,--whole-archive -lfoo -Wl,--no-whole-archive -lfoo -L{} -oout",
            dir.display()
        ));
        let file = dir.join("libfoo.a");
        assert_eq!(request.program.inputs, [Input::Whole(file.clone()), Input::File(file)]);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_compiler_without_a_cxx_library_has_none() {
        for compiler in ["echo", "/nonexistent/compiler"] {
            assert_eq!(cxx_library(&[compiler.to_owned()]), None);
        }
    }

    #[test]
    fn the_cxx_compiler_is_that_of_build_scripts() {
        let compiler = |set: &[(&str, &str)]| {
            cxx_compiler(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(compiler(&[]), ["c++"]);
        assert_eq!(compiler(&[("CXX", " ")]), ["c++"]);
        assert_eq!(compiler(&[("CXX", "ccache g++")]), ["ccache", "g++"]);
        let dashes = ("CXX_x86_64-unknown-linux-gnu", "one");
        let underscores = ("CXX_x86_64_unknown_linux_gnu", "two");
        assert_eq!(compiler(&[("CXX", "g++"), underscores]), ["two"]);
        assert_eq!(compiler(&[("HOST_CXX", "g++"), underscores, dashes]), ["one"]);
    }

    #[test]
    fn a_cxx_compiler_of_several_words_is_asked() {
        let words = ["env", "echo", "/lib/"].map(str::to_owned);
        let path = cxx_library(&words).expect("what it prints");
        assert!(path.starts_with("/lib"));
    }

    #[test]
    fn a_shared_library_is_recognised() {
        assert!(parse("-shared a.o -o libx.so").shared);
    }

    #[test]
    fn arguments_in_a_file_are_read() {
        let file = std::env::temp_dir().join(format!("mirust-arguments-{}", std::process::id()));
        fs::write(&file, "two\\ words.o\n-o\nout\n").unwrap();
        let request = parse(&format!("@{}", file.display()));
        assert_eq!(request.program.inputs, [Input::File("two words.o".into())]);
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn tests_in_documentation_are_recognised() {
        assert!(is_doctest(Path::new("/tmp/rustdoctestAbCdEf/rust_out")));
        assert!(!is_doctest(Path::new("/tmp/elsewhere/rust_out")));
        let all = "/tmp/x/rust_out.doctest_runner_2024.0123456789abcdef-cgu.0.rcgu.o -o out";
        assert!(parse(all).has_all_doctests());
        assert!(
            !parse("/tmp/x/rust_out.rust_out.0123456789abcdef-cgu.0.rcgu.o -o out")
                .has_all_doctests()
        );
    }

    #[test]
    fn an_option_without_its_argument_is_an_error() {
        assert!(Request::parse(&["-o".into()]).is_err());
        assert!(Request::parse(&["a.o".into()]).is_err());
    }
}
