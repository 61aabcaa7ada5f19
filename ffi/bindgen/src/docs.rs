//! Rust's documentation, which is Markdown, as OCaml's.

use std::fmt::Write;

/// A documentation comment. `usage` says how a function is called; each line begins with `indent`.
pub fn comment(lines: &[String], usage: Option<&str>, indent: &str) -> String {
    let mut text = String::new();
    if let Some(usage) = usage {
        let _ = writeln!(text, "[{usage}]");
        if lines.iter().any(|line| !line.trim().is_empty()) {
            text.push('\n');
        }
    }
    translate(lines, &mut text);
    let text = text.trim();
    let text = if can_be_comment(text) { text.to_owned() } else { without_lexemes(text) };
    let mut out = format!("{indent}(** ");
    for (i, line) in text.lines().enumerate() {
        if i > 0 {
            out.push('\n');
            if !line.is_empty() {
                let _ = write!(out, "{indent}    ");
            }
        }
        out.push_str(line);
    }
    out.push_str(" *)\n");
    out
}

/// Writes the lines as odoc's.
fn translate(lines: &[String], out: &mut String) {
    let mut rest = lines.iter();
    while let Some(line) = rest.next() {
        let trimmed = line.trim_start();
        if let Some(language) = trimmed.strip_prefix("```") {
            let code: Vec<&str> = rest
                .by_ref()
                .take_while(|line| !line.trim_start().starts_with("```"))
                .map(String::as_str)
                .collect();
            code_block(language.trim(), &code, out);
        } else if let Some(title) = heading(trimmed) {
            out.push_str("{3 ");
            inline(title, out);
            out.push_str("}\n");
        } else {
            let (item, text) = list_item(trimmed);
            out.push_str(&line[..line.len() - trimmed.len()]);
            out.push_str(item);
            inline(text, out);
            out.push('\n');
        }
    }
}

fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    (title.len() < line.len() && title.starts_with(' ')).then(|| title.trim())
}

/// The beginning of a list's item, and what follows.
fn list_item(line: &str) -> (&'static str, &str) {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if let Some(text) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        ("- ", text)
    } else if let (true, Some(text)) = (digits > 0, line[digits..].strip_prefix(". ")) {
        ("+ ", text)
    } else {
        ("", line)
    }
}

fn code_block(language: &str, code: &[&str], out: &mut String) {
    let rust = language.is_empty()
        || ["rust", "should_panic", "no_run", "ignore", "compile_fail"]
            .iter()
            .any(|word| language.starts_with(word));
    // Lines that rustdoc hides.
    let code: Vec<&str> = code
        .iter()
        .filter(|line| !(rust && (line.trim() == "#" || line.trim_start().starts_with("# "))))
        .copied()
        .collect();
    let text = code.join("\n");
    let (open, close) = match () {
        () if text.contains("]}") => ("{v", "v}"),
        () if rust => ("{@rust[", "]}"),
        () if language == "ocaml" => ("{[", "]}"),
        () => ("{v", "v}"),
    };
    let _ = write!(out, "{open}\n{text}\n{close}\n");
}

/// Text with code, emphasis and links.
fn inline(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((code, after)) = rest.strip_prefix('`').and_then(|r| r.split_once('`')) {
            code_span(code, out);
            rest = after;
        } else if let Some((link, after)) = link(rest) {
            out.push_str(&link);
            rest = after;
        } else if let Some((text, after)) = between(rest, "**") {
            emphasis('b', text, out);
            rest = after;
        } else if let Some((text, after)) = between(rest, "*") {
            emphasis('e', text, out);
            rest = after;
        } else {
            if "{}[]@\\".contains(c) {
                out.push('\\');
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
}

/// What stands between two of these marks, at the beginning.
fn between<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (inner, after) = text.strip_prefix(mark)?.split_once(mark)?;
    let sound = !inner.is_empty() && !inner.starts_with(' ') && !inner.ends_with(' ');
    sound.then_some((inner, after))
}

fn emphasis(mark: char, text: &str, out: &mut String) {
    let _ = write!(out, "{{{mark} ");
    inline(text, out);
    out.push('}');
}

fn code_span(code: &str, out: &mut String) {
    let mut depth = 0;
    let balanced = code.chars().all(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        depth >= 0
    }) && depth == 0;
    out.push('[');
    for c in code.trim().chars() {
        if !balanced && "[]".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(']');
}

/// A link at the beginning. What it leads to inside Rust, OCaml does not have: its text remains.
fn link(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('[')?;
    let mut depth = 1;
    let end = inner.find(|c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        depth == 0
    })?;
    let (shown, mut after) = (&inner[..end], &inner[end + 1..]);
    let mut target = None;
    if let Some((to, rest)) = after.strip_prefix('(').and_then(|r| r.split_once(')')) {
        (target, after) = (Some(to), rest);
    } else if !(shown.starts_with('`') && shown.ends_with('`')) {
        return None;
    }
    let mut out = String::new();
    match target {
        Some(url) if url.contains("://") && !url.contains('}') => {
            let _ = write!(out, "{{{{:{url}}}");
            inline(shown, &mut out);
            out.push('}');
        }
        _ => inline(shown, &mut out),
    }
    Some((out, after))
}

/// Whether OCaml reads the text as one comment: it minds strings, characters and comments inside.
fn can_be_comment(text: &str) -> bool {
    if text.contains("(*") || text.contains("*)") || text.contains("{|") {
        return false;
    }
    let mut chars = text.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            '"' => in_string = !in_string,
            // Possibly `{id|`, or '"'.
            '{' if !in_string => {
                let mut word = chars.clone();
                if word.find(|c| !c.is_ascii_lowercase() && *c != '_') == Some('|') {
                    return false;
                }
            }
            '\'' if !in_string && chars.peek() == Some(&'"') => return false,
            _ => {}
        }
    }
    !in_string
}

/// The text without what OCaml would mind.
fn without_lexemes(text: &str) -> String {
    let text =
        text.replace('"', "''").replace("(*", "( *").replace("*)", "* )").replace("{|", "{ |");
    if can_be_comment(&text) { text } else { text.replace('|', "/") }
}

#[cfg(test)]
mod tests {
    use super::{can_be_comment, comment};

    fn translated(markdown: &str) -> String {
        let lines: Vec<String> = markdown.lines().map(String::from).collect();
        let comment = comment(&lines, None, "");
        let inner = comment.strip_prefix("(** ").and_then(|c| c.strip_suffix(" *)\n"));
        inner.expect("a comment").replace("\n    ", "\n")
    }

    #[test]
    fn markdown_becomes_odoc() {
        for (markdown, odoc) in [
            ("Plain text, in\ntwo lines.", "Plain text, in\ntwo lines."),
            ("Code: `a + b`.", "Code: [a + b]."),
            ("`&[u8]` and `[u8`", "[&[u8]] and [\\[u8]"),
            ("{braces}, a[0] and me@home", "\\{braces\\}, a\\[0\\] and me\\@home"),
            ("**Bold**, *slanted*, 2 * 3 * 4", "{b Bold}, {e slanted}, 2 * 3 * 4"),
            ("See [`Counter`] and [it](Counter::new).", "See [Counter] and it."),
            ("At [home](https://example.org/).", "At {{:https://example.org/}home}."),
            ("# Errors\n\nNone.", "{3 Errors}\n\nNone."),
            ("- one\n- two", "- one\n- two"),
            ("1. one\n2. two", "+ one\n+ two"),
            ("```\n# hidden\nf(1);\n```", "{@rust[\nf(1);\n]}"),
            ("```ocaml\nf 1\n```", "{[\nf 1\n]}"),
            ("```text\n# shown\n```", "{v\n# shown\nv}"),
            ("```\nA { b: [1]}\n```", "{v\nA { b: [1]}\nv}"),
            ("She said \"hello\".", "She said \"hello\"."),
            ("A 5\" disk", "A 5'' disk"),
            ("`(*const T)`", "[( *const T)]"),
            ("`|x| {x|y}`", "[/x/ {x/y}]"),
        ] {
            assert_eq!(translated(markdown), odoc, "{markdown}");
        }
    }

    #[test]
    fn what_ocaml_minds_in_a_comment_is_known() {
        for text in ["a \"b\" c", "a \"\\\"\" c", "it's", "{b bold}", "a | b"] {
            assert!(can_be_comment(text), "{text}");
        }
        for text in ["\"", "(*", "*)", "{|", "{id|", "'\"'", "\"\\\""] {
            assert!(!can_be_comment(text), "{text}");
        }
    }

    #[test]
    fn a_comment_is_indented_and_says_how_to_call() {
        let lines = ["Adds.".to_owned(), String::new(), "Twice.".into()];
        let expected = "  (** [add t n]\n\n      Adds.\n\n      Twice. *)\n";
        assert_eq!(comment(&lines, Some("add t n"), "  "), expected);
        assert_eq!(comment(&[], Some("add t n"), ""), "(** [add t n] *)\n");
    }
}
