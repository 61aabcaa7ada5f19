//! OCaml's side: types and names.

use std::fmt;

use syn::Ident;
use syn::ext::IdentExt;

/// An OCaml type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ocaml {
    /// A type without parameters.
    Plain(&'static str),
    /// The type of a Rust type that OCaml owns.
    Opaque(Ident),
    /// `argument name`
    Apply(Vec<Ocaml>, &'static str),
    /// `a * b`
    Tuple(Vec<Ocaml>),
    /// `a -> b -> result`
    Arrow(Vec<Ocaml>, Box<Ocaml>),
    /// As the source gives it.
    Given(String),
}

/// How tightly the surroundings bind.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    Arrow,
    Tuple,
    Apply,
}

impl Ocaml {
    /// The type as text, where `opaque` names the types that OCaml owns.
    pub fn text(&self, opaque: &dyn Fn(&Ident) -> String) -> String {
        let mut out = String::new();
        self.write(&mut out, Level::Arrow, opaque);
        out
    }

    /// The same as an argument of an arrow.
    pub fn argument_text(&self, opaque: &dyn Fn(&Ident) -> String) -> String {
        let mut out = String::new();
        self.write(&mut out, Level::Tuple, opaque);
        out
    }

    fn write(&self, out: &mut String, around: Level, opaque: &dyn Fn(&Ident) -> String) {
        let own = match self {
            Ocaml::Arrow(..) => Level::Arrow,
            Ocaml::Tuple(_) => Level::Tuple,
            // It could be anything, and parentheses do no harm.
            Ocaml::Given(text) if text.contains([' ', '*']) => Level::Arrow,
            _ => Level::Apply,
        };
        let parentheses = own < around;
        if parentheses {
            out.push('(');
        }
        match self {
            Ocaml::Plain(name) => out.push_str(name),
            Ocaml::Given(text) => out.push_str(text),
            Ocaml::Opaque(ident) => out.push_str(&opaque(ident)),
            Ocaml::Apply(arguments, name) => {
                if let [argument] = &arguments[..] {
                    argument.write(out, Level::Apply, opaque);
                } else {
                    out.push('(');
                    separated(out, arguments, ", ", Level::Arrow, opaque);
                    out.push(')');
                }
                out.push(' ');
                out.push_str(name);
            }
            Ocaml::Tuple(parts) => separated(out, parts, " * ", Level::Apply, opaque),
            Ocaml::Arrow(arguments, result) => {
                separated(out, arguments, " -> ", Level::Tuple, opaque);
                out.push_str(" -> ");
                result.write(out, Level::Arrow, opaque);
            }
        }
        if parentheses {
            out.push(')');
        }
    }
}

fn separated(
    out: &mut String,
    types: &[Ocaml],
    separator: &str,
    level: Level,
    opaque: &dyn Fn(&Ident) -> String,
) {
    for (i, ty) in types.iter().enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        ty.write(out, level, opaque);
    }
}

impl fmt::Display for Ocaml {
    /// With `Type.t` for a type that OCaml owns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&|ident| format!("{ident}.t")))
    }
}

/// Words that an OCaml value cannot be called.
const KEYWORDS: &[&str] = &[
    "and",
    "as",
    "asr",
    "assert",
    "begin",
    "class",
    "constraint",
    "do",
    "done",
    "downto",
    "effect",
    "else",
    "end",
    "exception",
    "external",
    "false",
    "for",
    "fun",
    "function",
    "functor",
    "if",
    "in",
    "include",
    "inherit",
    "initializer",
    "land",
    "lazy",
    "let",
    "lor",
    "lsl",
    "lsr",
    "lxor",
    "match",
    "method",
    "mod",
    "module",
    "mutable",
    "new",
    "nonrec",
    "object",
    "of",
    "open",
    "or",
    "private",
    "rec",
    "sig",
    "struct",
    "then",
    "to",
    "true",
    "try",
    "type",
    "val",
    "virtual",
    "when",
    "while",
    "with",
];

/// What OCaml calls a Rust function: the same, but `create` for `new`, and an underscore behind any
/// other of OCaml's keywords.
pub fn lower_name(ident: &Ident) -> String {
    let name = ident.unraw().to_string();
    if name == "new" {
        "create".into()
    } else if KEYWORDS.contains(&&*name) {
        name + "_"
    } else {
        name
    }
}

/// What OCaml calls the module of a Rust type: the same.
///
/// # Errors
///
/// If a module cannot have this name, or if it would hide one that signatures refer to.
pub fn module_name(ident: &Ident) -> syn::Result<String> {
    let name = ident.unraw().to_string();
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || !name.is_ascii() {
        return Err(syn::Error::new_spanned(ident, "an OCaml module begins with a capital letter"));
    }
    if ["Bigarray", "Cstruct", "Lwt", "Lwt_stream", "Stdlib"].contains(&&*name) {
        let message = format!("a module `{name}` would hide the one that signatures refer to");
        return Err(syn::Error::new_spanned(ident, message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::Ocaml::{Apply, Arrow, Plain, Tuple};
    use super::lower_name;

    #[test]
    fn parentheses_are_where_they_have_to_be() {
        let (a, b) = (Plain("a"), Plain("b"));
        let list = |ty| Apply(vec![ty], "list");
        let pair = Tuple(vec![a.clone(), b.clone()]);
        let arrow = Arrow(vec![a.clone()], Box::new(b.clone()));
        for (ty, text) in [
            (list(list(a.clone())), "a list list"),
            (list(pair.clone()), "(a * b) list"),
            (list(arrow.clone()), "(a -> b) list"),
            (Tuple(vec![pair.clone(), list(a.clone())]), "(a * b) * a list"),
            (Arrow(vec![arrow.clone(), pair], Box::new(arrow)), "(a -> b) -> a * b -> a -> b"),
            (Apply(vec![list(a), b], "result"), "(a list, b) result"),
        ] {
            assert_eq!(ty.to_string(), text);
        }
    }

    #[test]
    fn a_keyword_of_ocaml_gets_another_name() {
        for (rust, ocaml) in
            [("new", "create"), ("end", "end_"), ("r#type", "type_"), ("get", "get")]
        {
            assert_eq!(lower_name(&syn::parse_str(rust).expect("an identifier")), ocaml);
        }
    }
}
