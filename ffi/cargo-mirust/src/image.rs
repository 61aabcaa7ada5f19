//! Links images.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::attach::{Attached, Disk};
use crate::home::{Ground, Home, Object, modified};
use crate::lock::Lock;
use crate::options::{Build, MEMORY};
use crate::program::{Input, Program};
use crate::{calls, say, undefined};

/// A program that cargo built.
pub struct Executable {
    /// As cargo names the target.
    pub name: String,
    /// The directory of its package.
    pub package: PathBuf,
    /// What [`linker`](crate::linker) wrote.
    pub file: PathBuf,
    /// The directory that its image goes to.
    pub images: PathBuf,
    /// What its image has besides.
    pub attached: Attached,
    /// Whether it is a test harness.
    pub is_test: bool,
    /// Whether it is a file in the directory `tests`, and not of unit tests.
    pub is_integration_test: bool,
}

/// A linked image.
pub struct Image {
    /// The program's name.
    pub name: String,
    /// NAME.elf.
    pub elf: PathBuf,
    /// What stands below.
    pub ground: Ground,
    /// The disks that its files are on.
    pub disks: Vec<Disk>,
}

impl Image {
    /// The image with its symbols, for gdb.
    pub fn with_symbols(&self) -> PathBuf {
        self.elf.with_extension("elf.dbg")
    }

    /// The configuration for `xl`.
    pub fn cfg(&self) -> PathBuf {
        self.elf.with_extension("cfg")
    }

    /// The memory in its configuration, in MiB: that of the option, or of the package's `xl.cfg`.
    ///
    /// # Errors
    ///
    /// The configuration cannot be read.
    pub fn memory(&self) -> Result<u32> {
        Ok(memory_of(&self.configuration()?).unwrap_or(MEMORY))
    }

    /// The text of its configuration.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn configuration(&self) -> Result<String> {
        fs::read_to_string(self.cfg())
            .with_context(|| format!("cannot read {}", self.cfg().display()))
    }
}

/// The files of an image by names of their own, so that they stay what they are when another build replaces the image.
/// They go when it is dropped.
pub struct Kept {
    image: Image,
    dir: PathBuf,
    /// Of the directory, for as long as it is in use.
    _lock: Lock,
}

/// What the directory's name begins with; a number follows.
const KEPT: &str = ".run.";

impl Image {
    /// Keeps it as it is, from now on, when nobody else can replace its files.
    ///
    /// # Errors
    ///
    /// The directory cannot be written to.
    pub fn keep(self) -> Result<Kept> {
        let from = self.elf.parent().unwrap_or(Path::new("."));
        sweep(from);
        let dir = own_directory(from)?;
        let lock = Lock::take(&dir)?;
        let moved = |file: &Path| dir.join(file.file_name().unwrap_or_default());
        let files = [self.elf.clone(), self.with_symbols(), self.cfg()];
        let image = Image { elf: moved(&self.elf), ..self };
        let kept = Kept { dir: dir.clone(), image, _lock: lock };
        for file in files {
            let to = moved(&file);
            let _ = fs::remove_file(&to);
            // A new image has new files, so that a second name of the old ones is enough, where there are such.
            fs::hard_link(&file, &to)
                .or_else(|_| fs::copy(&file, &to).map(drop))
                .with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(kept)
    }
}

impl std::ops::Deref for Kept {
    type Target = Image;

    fn deref(&self) -> &Image {
        &self.image
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Removes what commands have left that were killed. It cannot have the locks of the others, which may run in another
/// container.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_kept = entry.file_name().to_str().is_some_and(|name| name.starts_with(KEPT));
        if is_kept && Lock::try_take(&entry.path()).is_some() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A new directory, of which nobody else knows.
fn own_directory(dir: &Path) -> Result<PathBuf> {
    let mut number = 1;
    loop {
        let own = dir.join(format!("{KEPT}{number}"));
        match fs::create_dir(&own) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            made => {
                made.with_context(|| format!("cannot make {}", own.display()))?;
                return Ok(own);
            }
        }
    }
}

/// Bytes of the stack that `main` runs on. Linux gives 8 MiB of address space; these are real.
const STACK: u32 = 2 << 20;

/// What `rust-rt/link/image` ends with when it has written down ld's messages.
const UNDEFINED: i32 = 3;

/// Links the image of a program, unless it is there and newer than all that it is made of.
///
/// # Errors
///
/// The program needs what an image does not have, or the toolchain is missing.
pub fn link(home: &Home, executable: &Executable, options: &Build) -> Result<Image> {
    let program = Program::read(&executable.file)?;
    if let Some(library) = program.shared_library() {
        bail!(
            "{} would need {}, a shared library, and an image has none\n\
             leave out \"-C prefer-dynamic\", which is in RUSTFLAGS or below `rustflags` in cargo's configuration, and \
             let crates be `lib` instead of `dylib`",
            executable.name,
            library.display()
        );
    }
    let dir = &executable.images;
    let name = executable.file.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or(&executable.name);
    let elf = dir.join(format!("{name}.elf"));
    let attached = executable.attached.write(dir, name)?;
    let notes = Notes {
        file: dir.join(format!("{name}.image")),
        memory: options.memory,
        attached: attached.is_some(),
        lenient: options.allow_missing,
    };

    let disks = executable.attached.disks();
    let image =
        |ground| Image { name: name.to_owned(), elf: elf.clone(), ground, disks: disks.to_vec() };
    if let Some(ground) = notes.ground() {
        let (image, object) = (image(ground), home.ground(ground)?);
        if is_new(home, &image, &object, executable, attached.as_deref()) {
            return Ok(image);
        }
    }

    if !options.quiet {
        say("Linking", format_args!("{name} into an image"));
    }
    let link =
        Link { home, program: &program, package: &executable.package, dir, options, attached };
    let mut image = image(Ground::Plain);
    let mut missing = link.attempt(&image, &[])?;
    if !missing.is_empty() {
        let offered = home.symbols_of_network()?;
        if missing.iter().any(|symbol| offered.contains(symbol)) {
            image.ground = Ground::Net;
            missing = link.attempt(&image, &[])?;
        }
    }
    if !missing.is_empty() {
        link.without(&image, missing, executable.is_test)?;
    }
    notes.write(image.ground)?;
    if !options.quiet {
        let size = fs::metadata(&image.elf).map_or(0, |data| data.len());
        say("Image", format_args!("{}: {size} bytes", shown(&image.elf)));
    }
    Ok(image)
}

/// What attempts to link have in common.
struct Link<'a> {
    home: &'a Home,
    program: &'a Program,
    /// The directory of the program's package.
    package: &'a Path,
    dir: &'a Path,
    options: &'a Build,
    /// What is attached, as an assembler file.
    attached: Option<PathBuf>,
}

impl Link<'_> {
    /// Links although symbols are `missing`, if the calls that need them may fail, and says which calls will.
    ///
    /// # Errors
    ///
    /// A call that must not fail needs one of them: the message names it.
    fn without(&self, image: &Image, missing: Vec<String>, is_test: bool) -> Result<()> {
        // With `panic = "abort"` the harness of tests runs each as another process. The code for that is always in it,
        // and is not what the crate asks for.
        let chains = calls::chains(self.program, &missing, is_test.then_some("test"));
        let asked = |symbol: &String| chains.iter().any(|chain| chain.symbol == *symbol);
        // Except in tests, only functions whose result can be an error: a program would use a null pointer.
        let may_fail = |symbol: &String| {
            self.options.allow_missing && (is_test || undefined::only_fails(symbol))
        };
        let (refused, failing): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .partition(|symbol| !may_fail(symbol) && (!is_test || asked(symbol)));
        let refused = if refused.is_empty() { self.attempt(image, &failing)? } else { refused };
        if !refused.is_empty() {
            bail!("{}", undefined::explain(&image.name, &refused, &chains, self.program));
        }
        let called: Vec<&str> =
            failing.iter().filter(|symbol| asked(symbol)).map(String::as_str).collect();
        if !called.is_empty() {
            say("Missing", format_args!("{}: they fail if they are called", called.join(", ")));
        }
        Ok(())
    }

    /// Links, and returns the symbols that are missing. A call of one that is `failing` fails.
    fn attempt(&self, image: &Image, failing: &[String]) -> Result<Vec<String>> {
        let Link { home, program, dir, options, attached, .. } = self;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        // Another build of the same program may be under way.
        let own = std::process::id();
        let messages = dir.join(format!(".messages.{own}"));
        let object = dir.join(format!(".files.{own}.o"));
        let mut command = home.tool("env");
        command.arg(format!("OUT={}", dir.display()));
        command.arg(format!("MEMORY={}", options.memory()));
        command.arg(format!("STACK={STACK}"));
        command.arg(format!("UNDEFINED={}", messages.display()));
        command.arg(format!("XL_LINES={}", self.configuration(image.ground)?));
        command.arg(home.file("rust-rt/link/image")).arg(&image.name);
        if let Some(printer) = calls::backtrace_printer(program) {
            command.arg(format!("--defsym={printer}=mirust_std_backtrace"));
        }
        let stub = |symbol: &String| format!("--defsym={symbol}={}", undefined::stub(symbol));
        command.args(failing.iter().map(stub));
        match attached {
            Some(source) => {
                self.assemble(source, &object)?;
                command.arg(&object)
            }
            None => command.arg("--defsym=mirust_before_main=mirust_nothing"),
        };
        if program.files().any(|path| path.ends_with("libstdc++.a")) {
            // C++ starts threads without attributes, by which a program is otherwise known to have some.
            command.arg("--undefined=pthread_attr_init");
        }
        if image.ground == Ground::Net {
            // Its OCaml functions have no unwind tables (ffi/link/trim).
            command.arg("--defsym=_dl_find_object=mirust_find_frame");
        }
        command.arg(home.ground(image.ground)?.file);
        for input in &program.inputs {
            match input {
                Input::File(path) => command.arg(path),
                Input::Whole(path) => {
                    command.arg("--whole-archive").arg(path).arg("--no-whole-archive")
                }
                Input::Missing(_) => &mut command,
            };
        }
        let status = command.stdin(Stdio::null()).status().context("cannot run tests/rig/env")?;
        let text = fs::read_to_string(&messages).unwrap_or_default();
        let _ = fs::remove_file(&messages);
        let _ = fs::remove_file(&object);
        match status.code() {
            Some(0) => Ok(Vec::new()),
            Some(UNDEFINED) => match undefined::parse(&text) {
                missing if missing.is_empty() => {
                    bail!("{} could not be linked; ld says:\n{}", image.name, text.trim_end())
                }
                missing => Ok(missing),
            },
            _ => bail!("{} could not be linked (see above)", image.name),
        }
    }

    /// Makes an object of what is attached.
    fn assemble(&self, source: &Path, object: &Path) -> Result<()> {
        let status = self.home.tool("as").arg("-o").arg(object).arg(source).status();
        if !status.context("cannot run tests/rig/env")?.success() {
            bail!("cannot make an object of {} (see above)", source.display());
        }
        Ok(())
    }

    /// What the domain needs besides, for its configuration.
    fn configuration(&self, ground: Ground) -> Result<String> {
        let file = self.package.join("xl.cfg");
        let own = match fs::read_to_string(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read {}", file.display()))?,
        };
        Ok(lines(own, ground, self.options.memory))
    }
}

/// What a reader of the configuration has to know; `ffi/link/qubes` looks for the variable, too.
const NETWORK: &str = "\
# The address is asked for by DHCP. To give one, which needs the variable MIRUST_ARGS, before the program's arguments:
# cmdline = \"MIRUST_ARGS='--ipv4=192.0.2.7/24 --ipv4-gateway=192.0.2.1'\"
";

/// What there is to know of the network, an interface, the package's own lines, and, if one of them sets the memory, that
/// of the option: the last one counts.
fn lines(mut own: String, ground: Ground, memory: Option<u32>) -> String {
    let sets = |key: &str| {
        own.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == key))
    };
    let network = if ground == Ground::Net { NETWORK } else { "" };
    let interface = if ground == Ground::Net && !sets("vif") { "vif = [\"\"]\n" } else { "" };
    let memory = memory.filter(|_| sets("memory")).map(|mib| format!("memory = {mib}\n"));
    let memory = memory.unwrap_or_default();
    if !own.is_empty() && !own.ends_with('\n') {
        own.push('\n');
    }
    format!("{network}{interface}{own}{memory}")
}

/// Whether the image is newer than all that it is made of.
fn is_new(
    home: &Home,
    image: &Image,
    object: &Object,
    executable: &Executable,
    attached: Option<&Path>,
) -> bool {
    let made = modified(&image.elf);
    let archive = attached.and_then(|source| executable.attached.archive(source));
    let mut parts = vec![
        executable.file.clone(),
        object.file.clone(),
        home.file("rust-rt/link/image"),
        home.file("rust-rt/link/xen.ld"),
        executable.package.join("xl.cfg"),
    ];
    parts.extend(attached.map(PathBuf::from).into_iter().chain(archive));
    made.is_some() && parts.iter().all(|part| modified(part) <= made) && image.cfg().exists()
}

/// How an image was made, beside it.
struct Notes {
    file: PathBuf,
    /// What the option says.
    memory: Option<u32>,
    attached: bool,
    /// Whether what a domain does not have may fail instead.
    lenient: bool,
}

impl Notes {
    fn text(&self, ground: Ground) -> String {
        let Notes { memory, attached, lenient, .. } = self;
        let memory = memory.map_or("by default".to_owned(), |mib| mib.to_string());
        format!(
            "ground {ground}\nmemory {memory}\nattached {attached}\nmissing allowed {lenient}\n"
        )
    }

    /// What the image stands on, if it was made as it would be now.
    fn ground(&self) -> Option<Ground> {
        let text = fs::read_to_string(&self.file).ok()?;
        [Ground::Plain, Ground::Net].into_iter().find(|ground| self.text(*ground) == text)
    }

    fn write(&self, ground: Ground) -> Result<()> {
        fs::write(&self.file, self.text(ground))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

/// The last `memory` of a configuration, which is the one that counts.
fn memory_of(cfg: &str) -> Option<u32> {
    let mut values = cfg.lines().filter_map(|line| line.split('#').next()?.split_once('='));
    values.rfind(|(key, _)| key.trim() == "memory")?.1.trim().parse().ok()
}

/// A path as the user would write it here.
fn shown(path: &Path) -> std::path::Display<'_> {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn it(dir: &Path) -> Image {
        let (name, elf) = ("it".into(), dir.join("it.elf"));
        Image { name, elf, ground: Ground::Plain, disks: Vec::new() }
    }

    #[test]
    fn an_image_that_is_kept_stays_what_it_is() {
        let dir = std::env::temp_dir().join(format!("mirust-image-{}", std::process::id()));
        let [left, used] = ["1", "2"].map(|number| dir.join(format!("{KEPT}{number}")));
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("left"), "by a command that was killed").unwrap();
        let in_use = Lock::take(&used).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(dir.join("new"), text).unwrap();
            fs::rename(dir.join("new"), dir.join(name)).unwrap();
        };
        let names = ["it.elf", "it.elf.dbg", "it.cfg"];
        names.iter().for_each(|name| write(name, "memory = 64\nmemory = 32 # less\n"));
        let image = it(&dir);
        let kept = image.keep().unwrap();
        names.iter().for_each(|name| write(name, "another"));
        assert_eq!(kept.memory().unwrap(), 32);
        for file in [kept.elf.clone(), kept.with_symbols()] {
            assert!(fs::read_to_string(file).unwrap().starts_with("memory"));
        }
        assert!(!left.join("left").exists() && used.exists());
        drop((kept, in_use));
        fs::remove_dir_all(used).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), names.len());
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_option_overrides_the_memory_of_the_package() {
        let dir = std::env::temp_dir().join(format!("mirust-memory-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let image = it(&dir);
        for (package, option, expected) in [
            ("memory = 80", None, 80),
            ("memory = 80", Some(33), 33),
            ("", Some(33), 33),
            ("", None, MEMORY),
        ] {
            let lines = lines(package.into(), image.ground, option);
            fs::write(image.cfg(), format!("memory = {}\n{lines}", option.unwrap_or(MEMORY)))
                .unwrap();
            assert_eq!(image.memory().unwrap(), expected);
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
