//! Boot parameters: the command line, split.

use crate::ground;

/// The program's parameters, after its name: on Xen the kernel's command line, split as a shell
/// would split it, on Unix the process's arguments.
///
/// Spaces separate parameters. Between single quotes everything stands for itself; between double
/// quotes, and outside of quotes, a backslash makes the next character stand for itself. An
/// unfinished quote ends with the line.
pub fn args() -> Vec<String> {
    let name = if cfg!(feature = "xen") { None } else { std::env::args().next() };
    let mut args = vec![name.unwrap_or_else(|| "mirust".into())];
    if cfg!(feature = "xen") {
        args.extend(split(&ground::command_line()));
    } else {
        args.extend(std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()));
    }
    args
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
    use super::split;

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
    fn an_unfinished_quote_or_escape_ends_with_the_line() {
        assert_eq!(split("a 'b c"), ["a", "b c"]);
        assert_eq!(split(r"a b\"), ["a", "b"]);
    }
}
