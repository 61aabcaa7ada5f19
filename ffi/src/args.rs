//! Boot parameters: the command line, split.

use crate::ground;

/// The program's parameters, after its name: on Xen the kernel's command line, split as a shell
/// would split it, on Unix the process's arguments.
///
/// Spaces separate parameters. Between single quotes everything stands for itself; between double
/// quotes, and outside of quotes, a backslash makes the next character stand for itself. An
/// unfinished quote ends with the line.
///
/// On Xen, leading words of the form `NAME=value` are not parameters but environment variables, as
/// before a command in a shell: `OCAMLRUNPARAM=b,d=1 --greeting=hello`. Such a name
/// consists of capital letters, digits and underscores.
pub fn args() -> Vec<String> {
    let name = if cfg!(feature = "xen") { None } else { std::env::args().next() };
    let mut args = vec![name.unwrap_or_else(|| "mirust".into())];
    if cfg!(feature = "xen") {
        let words = split(&ground::command_line());
        args.extend(words.into_iter().skip_while(|word| assignment(word).is_some()));
    } else {
        args.extend(std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()));
    }
    args
}

/// A domain with less memory than this begins with a small minor heap, in bytes.
const SMALL: u64 = 16 << 20;

/// Sets the environment variables of the command line. Called once, before the program begins.
pub(crate) fn set_environment() {
    if cfg!(feature = "xen") {
        if ground::mem_stats().total < SMALL {
            // 256 KiB instead of the 2 MiB that OCaml 5 takes, a quarter of a domain of 8 MiB.
            // SAFETY: the image has one thread.
            unsafe { std::env::set_var("OCAMLRUNPARAM", "d=1,s=32k") };
        }
        for (name, value) in split(&ground::command_line()).iter().map_while(|w| assignment(w)) {
            // SAFETY: the image has one thread.
            unsafe { std::env::set_var(name, value) };
        }
    }
    one_domain();
}

/// Has `Domain.spawn` fail, whatever the user's `OCAMLRUNPARAM` says: a second OCaml domain would enter Rust functions
/// that a first one is in.
fn one_domain() {
    let mut parameters = std::env::var_os("OCAMLRUNPARAM").unwrap_or_default();
    // The last one counts.
    parameters.push(if parameters.is_empty() { "d=1" } else { ",d=1" });
    // SAFETY: the program has one thread yet.
    unsafe { std::env::set_var("OCAMLRUNPARAM", parameters) };
}

/// The name and the value of `NAME=value`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let letter = |c: char| c.is_ascii_uppercase() || c == '_';
    let named = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    named.then_some((name, value))
}

/// Splits a command line, by the rules of [`args`].
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                // Quotes make a word, an empty one as well.
                word.get_or_insert_default();
            }
            (Some(q), c) if q == c => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::{assignment, split};

    #[test]
    fn spaces_separate_and_repeat() {
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("   "), [""; 0]);
        assert_eq!(split(" --a=1  -v\tb\n"), ["--a=1", "-v", "b"]);
    }

    #[test]
    fn quotes_join_and_vanish() {
        assert_eq!(split(r#"--name="two words" x"#), ["--name=two words", "x"]);
        assert_eq!(split("--name='two words'x"), ["--name=two wordsx"]);
        assert_eq!(split(r#"a "" '' b"#), ["a", "", "", "b"]);
    }

    #[test]
    fn each_quote_is_plain_within_the_other() {
        assert_eq!(split(r#""it's" 'say "hi"'"#), ["it's", r#"say "hi""#]);
    }

    #[test]
    fn backslash_escapes_except_between_single_quotes() {
        assert_eq!(split(r"a\ b \\ \'"), ["a b", r"\", "'"]);
        assert_eq!(split(r#""a\"b\\""#), [r#"a"b\"#]);
        assert_eq!(split(r"'a\b'"), [r"a\b"]);
    }

    #[test]
    fn an_assignment_has_a_name_in_capitals() {
        assert_eq!(assignment("RUST_LOG=a=b"), Some(("RUST_LOG", "a=b")));
        assert_eq!(assignment("_X1="), Some(("_X1", "")));
        for word in ["--greeting=hello", "a=b", "1A=b", "=b", "A", "A-B=c"] {
            assert_eq!(assignment(word), None, "{word}");
        }
    }

    #[test]
    fn an_unfinished_quote_or_escape_ends_with_the_line() {
        assert_eq!(split("a 'b c"), ["a", "b c"]);
        assert_eq!(split(r"a b\"), ["a", "b"]);
    }
}
