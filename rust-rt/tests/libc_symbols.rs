//! `docs/libc.md` lists the C symbols as the sources define them.
//!
//! `UPDATE=1 cargo test -p mirust-rt --test libc_symbols` writes the lists anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[derive(Default)]
struct Symbols {
    /// Symbols by source file.
    supplied: BTreeMap<String, Vec<String>>,
    /// What finds nothing, because there is nothing.
    empty: Vec<String>,
    /// Symbol, error, reason.
    stubs: Vec<[String; 3]>,
}

/// The word at the start of `text`.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
}

/// The first string literal of `text`.
fn literal(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

impl Symbols {
    fn read(&mut self, name: &str, source: &str) {
        let file = self.supplied.entry(name.to_owned()).or_default();
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
        let mut exported = false;
        let mut list = "";
        for line in source.lines() {
            let item = line.trim_start();
            if let Some(name) = item.strip_prefix("asm_fn!(").and_then(literal) {
                file.push(name.to_owned());
            } else if let Some(name) = item.strip_prefix("variadic!(").and_then(literal) {
                file.push(name.to_owned());
            } else if let Some((_, alias)) = item.split_once(".globl \", symbol!(") {
                file.extend(literal(alias).map(str::to_owned));
            } else if item.starts_with("#[") && item.contains("unsafe(no_mangle)") {
                exported = true;
            } else if exported && (item.contains("fn ") || item.contains("static ")) {
                let keyword = if item.contains("fn ") { "fn " } else { "static " };
                let name = word(item.split(keyword).nth(1).unwrap_or(""));
                // In a macro the name is a variable.
                file.extend((!name.is_empty()).then(|| name.to_owned()));
                exported = false;
            } else if line.ends_with("! {")
                && !line.starts_with(' ')
                && !line.contains("macro_rules")
            {
                list = word(line);
            } else if line == "}" {
                list = "";
            } else if list == "stubs" {
                let mut words = item.splitn(2, ' ');
                let (errno, rest) = (words.next().unwrap(), words.next().unwrap_or(""));
                if errno.starts_with('E') {
                    self.stubs.push([word(rest).to_owned(), errno.to_owned(), String::new()]);
                }
                if let (Some(why), Some(stub)) = (literal(item), self.stubs.last_mut()) {
                    stub[2] = why.to_owned();
                }
            } else if matches!(
                list,
                "attributes"
                    | "changes"
                    | "checked"
                    | "functions"
                    | "groups"
                    | "nothing"
                    | "calls"
                    | "root"
                    | "stats"
                    | "strtol_family"
                    | "three"
            ) && line.strip_prefix("    ").is_some_and(|item| !word(item).is_empty())
            {
                let to = if list == "nothing" { &mut self.empty } else { &mut *file };
                to.push(word(item).to_owned());
            }
        }
    }

    fn render(mut self) -> String {
        let mut text = String::new();
        let code = |names: &[String]| format!("`{}`", names.join("` `"));
        text.push_str("## Supplied\n\n| source | symbols |\n|---|---|\n");
        self.supplied.retain(|_, names| !names.is_empty());
        for (file, names) in &mut self.supplied {
            names.sort();
            writeln!(text, "| `{file}` | {} |", code(names)).unwrap();
        }
        self.empty.sort();
        writeln!(text, "\n## Look-ups in the empty file system (ENOENT, not logged)\n").unwrap();
        writeln!(text, "{}", code(&self.empty)).unwrap();
        self.stubs.sort();
        text.push_str("\n## Stubs (logged once)\n\n| symbol | error | why |\n|---|---|---|\n");
        for [name, errno, why] in &self.stubs {
            writeln!(text, "| `{name}` | {errno} | {why} |").unwrap();
        }
        text
    }
}

impl Symbols {
    fn of_the_sources(root: &Path) -> Self {
        let mut symbols = Symbols::default();
        let mut sources = vec![root.join("boot/src/diag/unwind.rs")];
        let mut folders = vec![root.join("libc/src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { sources.push(path) }
            }
        }
        for path in sources {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace("/src/", "/");
            if name != "libc/asm.rs" {
                symbols.read(&name, &fs::read_to_string(&path).unwrap());
            }
        }
        symbols
    }
}

/// What glibc 2.41 has for fortified callers: `__NAME_chk` for each.
const FORTIFIED: &str = "asprintf confstr dprintf explicit_bzero fdelt fgets fgets_unlocked fgetws fgetws_unlocked fprintf
    fread fread_unlocked fwprintf getcwd getdomainname getgroups gethostname getlogin_r gets getwd longjmp mbsnrtowcs
    mbsrtowcs mbstowcs memcpy memmove mempcpy memset obstack_printf obstack_vprintf poll ppoll pread64 pread printf
    ptsname_r read readlink readlinkat realpath recv recvfrom snprintf sprintf stpcpy stpncpy strcat strcpy strlcat strlcpy
    strncat strncpy swprintf syslog ttyname_r vasprintf vdprintf vfprintf vfwprintf vprintf vsnprintf vsprintf vswprintf
    vsyslog vwprintf wcpcpy wcpncpy wcrtomb wcscat wcscpy wcslcat wcslcpy wcsncat wcsncpy wcsnrtombs wcsrtombs wcstombs
    wctomb wmemcpy wmemmove wmempcpy wmemset wprintf";

#[test]
fn what_there_is_can_be_called_by_fortified_code() {
    let symbols = Symbols::of_the_sources(Path::new(env!("CARGO_MANIFEST_DIR")));
    let stubs = symbols.stubs.iter().map(|[name, ..]| name);
    let names: BTreeSet<&String> = symbols.supplied.values().flatten().chain(stubs).collect();
    let has = |name: &str| names.contains(&name.to_owned());
    let missing: Vec<_> = FORTIFIED
        .split_whitespace()
        .filter(|name| has(name) && !has(&format!("__{name}_chk")))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_documented_symbols_are_those_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let symbols = Symbols::of_the_sources(root);
    let document = root.join("../docs/libc.md");
    let text = fs::read_to_string(&document).unwrap();
    let start = text.find("## Supplied").expect("docs/libc.md has the list of symbols");
    let lists = symbols.render();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&document, format!("{}{lists}", &text[..start])).unwrap();
    } else {
        assert!(text[start..] == lists, "docs/libc.md is stale: run this test with UPDATE=1");
    }
}
