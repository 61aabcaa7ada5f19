//! Which OCaml type belongs to which Rust type.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{GenericArgument, Ident, Path, PathArguments, ReturnType, Type};

use crate::ocaml::Ocaml;
use crate::options::Buffer;

/// How the C function takes or gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passing {
    /// As an OCaml value.
    Value,
    /// As a machine word: OCaml's `[@untagged]`.
    Untagged,
    /// As a number: OCaml's `[@unboxed]`.
    Unboxed,
}

/// What the table knows of a type.
#[derive(Clone, Debug)]
pub struct Known {
    /// OCaml's type.
    pub ocaml: Ocaml,
    /// The Rust type, by paths that mean the same everywhere.
    pub rust: TokenStream,
    /// How it is passed, unless it is inside something else.
    pub passing: Passing,
}

/// The table, for the types of one file.
pub struct Table<'a> {
    /// Whether this name is a type that OCaml owns.
    pub is_opaque: &'a dyn Fn(&Ident) -> bool,
}

/// Where a type stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Argument,
    Result,
    /// In `BoxRoot<…>` and the like: it names an OCaml type, and is never converted.
    Marker,
}

/// `(char, …) Bigarray.Array1.t`
const BIGARRAY: &str = "(char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t";

/// What Lwt calls a stream.
const STREAM: &str = "Lwt_stream.t";

impl Buffer {
    fn ocaml(self) -> Ocaml {
        Ocaml::Plain(match self {
            Buffer::String => "string",
            Buffer::Bytes => "bytes",
            Buffer::Cstruct => "Cstruct.t",
            Buffer::Bigarray => BIGARRAY,
        })
    }
}

impl Table<'_> {
    /// The type of an argument.
    ///
    /// # Errors
    ///
    /// If the table does not know it.
    pub fn argument(&self, ty: &Type) -> syn::Result<Known> {
        self.describe(ty, Place::Argument)
    }

    /// The type of a result.
    ///
    /// # Errors
    ///
    /// If the table does not know it.
    pub fn result(&self, ty: &Type) -> syn::Result<Known> {
        self.describe(ty, Place::Result)
    }

    /// The type of an argument that is this buffer in OCaml.
    ///
    /// # Errors
    ///
    /// If it is not bytes in Rust, or if it is written to and OCaml's cannot be.
    pub fn buffer(&self, ty: &Type, buffer: Buffer) -> syn::Result<Known> {
        let known = self.argument(ty)?;
        let written = matches!(ty, Type::Reference(r) if r.mutability.is_some());
        match buffer {
            _ if !is_bytes(ty) => {
                let message = "only `&[u8]`, `&mut [u8]` and `Vec<u8>` can be another buffer";
                Err(syn::Error::new_spanned(ty, message))
            }
            Buffer::String if written => {
                Err(syn::Error::new_spanned(ty, "a `string` cannot be written to"))
            }
            _ => Ok(Known { ocaml: buffer.ocaml(), ..known }),
        }
    }

    fn describe(&self, ty: &Type, place: Place) -> syn::Result<Known> {
        match ty {
            Type::Paren(inner) => self.describe(&inner.elem, place),
            Type::Group(inner) => self.describe(&inner.elem, place),
            Type::Tuple(tuple) => {
                let parts: Vec<Known> = tuple
                    .elems
                    .iter()
                    .map(|t| self.describe(t, place))
                    .collect::<Result<_, _>>()?;
                match parts.len() {
                    0 => Ok(value(Ocaml::Plain("unit"), quote!(()))),
                    2..=4 => {
                        let rust = parts.iter().map(|part| &part.rust);
                        let rust = quote!((#(#rust),*));
                        Ok(value(Ocaml::Tuple(parts.into_iter().map(|p| p.ocaml).collect()), rust))
                    }
                    _ => Err(unknown(ty, "a tuple has two to four parts")),
                }
            }
            Type::Reference(reference) if place == Place::Argument => self.reference(reference),
            Type::Reference(_) => {
                Err(unknown(ty, "only an argument can be borrowed; return what the function owns"))
            }
            Type::BareFn(function) if place == Place::Marker => self.closure(function),
            Type::Path(path) if path.qself.is_none() => self.path(ty, &path.path, place),
            _ => Err(unknown(ty, HINT)),
        }
    }

    fn reference(&self, reference: &syn::TypeReference) -> syn::Result<Known> {
        let (elem, exclusive) = (&*reference.elem, reference.mutability.is_some());
        match elem {
            Type::Slice(slice) if is_ident(&slice.elem, "u8") => Ok(if exclusive {
                value(Buffer::Bytes.ocaml(), quote!(&mut [::core::primitive::u8]))
            } else {
                value(Buffer::String.ocaml(), quote!(&[::core::primitive::u8]))
            }),
            _ if exclusive => {
                let hint =
                    "OCaml may share what it owns: borrow it as `&T`, and use `Cell` or `RefCell`";
                Err(unknown(reference, hint))
            }
            Type::Path(_) if is_ident(elem, "str") => {
                Ok(value(Ocaml::Plain("string"), quote!(&::core::primitive::str)))
            }
            _ => match self.opaque(elem) {
                Some(known) => Ok(Known { rust: quote!(& #elem), ..known }),
                None => Err(unknown(reference, HINT)),
            },
        }
    }

    /// A type that OCaml owns.
    fn opaque(&self, ty: &Type) -> Option<Known> {
        let Type::Path(path) = ty else { return None };
        let ident = path.path.get_ident()?;
        (path.qself.is_none() && (self.is_opaque)(ident))
            .then(|| value(Ocaml::Opaque(ident.clone()), quote!(#ident)))
    }

    fn closure(&self, function: &syn::TypeBareFn) -> syn::Result<Known> {
        if function.inputs.is_empty() {
            return Err(unknown(function, "an OCaml function has an argument; take `()`"));
        }
        let arguments = function
            .inputs
            .iter()
            .map(|input| self.describe(&input.ty, Place::Marker))
            .collect::<syn::Result<Vec<Known>>>()?;
        let unit: Type = syn::parse_quote!(());
        let result = match &function.output {
            ReturnType::Default => self.describe(&unit, Place::Marker)?,
            ReturnType::Type(_, ty) => self.describe(ty, Place::Marker)?,
        };
        let (rust, result_rust) = (arguments.iter().map(|a| &a.rust), &result.rust);
        let rust = quote!(fn(#(#rust),*) -> #result_rust);
        let arguments = arguments.into_iter().map(|a| a.ocaml).collect();
        Ok(value(Ocaml::Arrow(arguments, Box::new(result.ocaml)), rust))
    }

    fn path(&self, ty: &Type, path: &Path, place: Place) -> syn::Result<Known> {
        let Some(last) = path.segments.last() else { return Err(unknown(ty, HINT)) };
        let types = parameters(&last.arguments);
        let name = last.ident.to_string();
        let marker = place == Place::Marker;
        if let (Some(known), []) = (plain(&name, marker), &types[..]) {
            return Ok(known);
        }
        let marked = |of: &Type| self.describe(of, Place::Marker);
        match (&*name, &types[..]) {
            ("Vec", [element]) if !marker && is_ident(element, "u8") => {
                Ok(value(Buffer::String.ocaml(), quote!(::std::vec::Vec<::core::primitive::u8>)))
            }
            ("Vec", [element]) if !marker => {
                self.apply(&[element], "list", place, quote!(::std::vec::Vec))
            }
            ("Option", [element]) => {
                self.apply(&[element], "option", place, quote!(::core::option::Option))
            }
            ("Result", [ok, error]) if place != Place::Argument => {
                self.apply(&[ok, error], "result", place, quote!(::core::result::Result))
            }
            ("Rc", [element]) if !marker => match self.opaque(element) {
                Some(known) => Ok(Known { rust: quote!(::std::rc::Rc<#element>), ..known }),
                None => Err(unknown(ty, HINT)),
            },
            ("BoxRoot", [of]) if !marker => {
                let Known { ocaml, rust: inner, .. } = marked(of)?;
                Ok(value(ocaml, quote!(::mirust::ocaml::BoxRoot<#inner>)))
            }
            ("OCaml", [of]) if !marker => {
                let Known { ocaml, rust: inner, .. } = marked(of)?;
                Ok(value(ocaml, quote!(::mirust::ocaml::OCaml<'_, #inner>)))
            }
            ("Promise", [of]) if place == Place::Argument => {
                let Known { ocaml, rust: inner, .. } = marked(of)?;
                let rust = quote!(::mirust::ocaml::Promise<#inner>);
                Ok(value(Ocaml::Apply(vec![ocaml], "Lwt.t"), rust))
            }
            ("LwtStream", [of]) if place == Place::Argument => {
                let Known { ocaml, rust: inner, .. } = marked(of)?;
                let rust = quote!(::mirust::ocaml::LwtStream<#inner>);
                Ok(value(Ocaml::Apply(vec![ocaml], STREAM), rust))
            }
            ("Feed", [of]) if place == Place::Result => {
                self.apply(&[of], STREAM, place, quote!(::mirust::ocaml::Feed))
            }
            ("Buffer", []) if !marker => {
                Ok(value(Ocaml::Plain("Cstruct.t"), quote!(::mirust::ocaml::Buffer)))
            }
            ("OCamlStream", [of]) if marker => {
                self.apply(&[of], STREAM, place, quote!(::mirust::ocaml::OCamlStream))
            }
            ("OCamlPromise", [of]) if marker => {
                self.apply(&[of], "Lwt.t", place, quote!(::mirust::ocaml::OCamlPromise))
            }
            ("OCamlList", [of]) if marker => {
                self.apply(&[of], "list", place, quote!(::mirust::ocaml::OCamlList))
            }
            (_, []) if marker && marker_name(&name).is_some() => {
                let ocaml = marker_name(&name).unwrap_or(BIGARRAY);
                let ident = &last.ident;
                Ok(value(Ocaml::Plain(ocaml), quote!(::mirust::ocaml::#ident)))
            }
            (_, []) => match self.opaque(ty) {
                Some(known) if place != Place::Argument => Ok(known),
                Some(_) => {
                    Err(unknown(ty, "OCaml owns it: borrow it as `&T`, or share it as `Rc<T>`"))
                }
                None => Err(unknown(ty, hint(&name, marker))),
            },
            _ => Err(unknown(ty, hint(&name, marker))),
        }
    }

    /// `name` of these types.
    fn apply(
        &self,
        types: &[&Type],
        name: &'static str,
        place: Place,
        rust: TokenStream,
    ) -> syn::Result<Known> {
        let parts: Vec<Known> =
            types.iter().map(|ty| self.describe(ty, place)).collect::<syn::Result<_>>()?;
        let inner = parts.iter().map(|part| &part.rust);
        let rust = quote!(#rust<#(#inner),*>);
        Ok(value(Ocaml::Apply(parts.into_iter().map(|part| part.ocaml).collect(), name), rust))
    }
}

fn value(ocaml: Ocaml, rust: TokenStream) -> Known {
    Known { ocaml, rust, passing: Passing::Value }
}

/// A type without parameters that is OCaml's as well. As a marker, which stands for what OCaml has in its own
/// memory, a boxed number is none.
fn plain(name: &str, marker: bool) -> Option<Known> {
    Some(match name {
        "isize" => number("int", quote!(::core::primitive::isize), Passing::Untagged),
        "i64" if !marker => number("int64", quote!(::core::primitive::i64), Passing::Unboxed),
        "i32" if !marker => number("int32", quote!(::core::primitive::i32), Passing::Unboxed),
        "f64" if !marker => number("float", quote!(::core::primitive::f64), Passing::Unboxed),
        "bool" => value(Ocaml::Plain("bool"), quote!(::core::primitive::bool)),
        "String" => value(Ocaml::Plain("string"), quote!(::std::string::String)),
        _ => return None,
    })
}

fn number(ocaml: &'static str, rust: TokenStream, passing: Passing) -> Known {
    Known { ocaml: Ocaml::Plain(ocaml), rust, passing }
}

fn marker_name(rust: &str) -> Option<&'static str> {
    Some(match rust {
        "OCamlInt" => "int",
        "OCamlInt32" => "int32",
        "OCamlInt64" => "int64",
        "OCamlFloat" => "float",
        "OCamlBytes" => "bytes",
        "OCamlCstruct" => "Cstruct.t",
        "OCamlBigarray" => BIGARRAY,
        _ => return None,
    })
}

fn parameters(arguments: &PathArguments) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// Whether the type is this name, by whatever path.
pub(crate) fn is_ident(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(p) if p.path.segments.last().is_some_and(
        |s| s.ident == name && matches!(s.arguments, PathArguments::None)))
}

/// Whether it is bytes, borrowed or owned.
fn is_bytes(ty: &Type) -> bool {
    match ty {
        Type::Reference(r) => {
            matches!(&*r.elem, Type::Slice(s) if is_ident(&s.elem, "u8"))
        }
        Type::Path(p) => p.path.segments.last().is_some_and(|s| {
            s.ident == "Vec" && matches!(&parameters(&s.arguments)[..], [e] if is_ident(e, "u8"))
        }),
        _ => false,
    }
}

const HINT: &str = "write it out if it is an alias; export the type's `impl` block in this file if OCaml \
                    should own it; or give the OCaml type, of an argument by `#[ocaml(type = \"…\")]`, of a \
                    result by `#[mirust::export(returns = \"…\")]`";

/// What to do about a type that is not in the table.
fn hint(name: &str, marker: bool) -> &'static str {
    match name {
        "i64" | "i32" | "f64" if marker => {
            "an OCaml number in its box is `OCamlInt64`, `OCamlInt32` or `OCamlFloat`"
        }
        "usize" | "u64" | "u32" | "u16" | "u8" | "i16" | "i8" | "u128" | "i128" => {
            "use `isize` (OCaml's int), `i32` or `i64`"
        }
        "f32" => "use `f64`",
        "char" => "use `isize` or `String`",
        "Vec" => "an OCaml list is `OCamlList<T>` here, and bytes are `OCamlBytes`",
        "Promise" => "a promise is an argument; to return one, make the function `async`",
        "LwtStream" => "a stream is an argument; to return one, return `Feed<T>`",
        "Feed" => "it is returned; OCaml passes a `LwtStream<T>`",
        _ => HINT,
    }
}

fn unknown(ty: &(impl Spanned + quote::ToTokens), hint: &str) -> syn::Error {
    let text = ty.to_token_stream().to_string().replace(" :: ", "::").replace(" <", "<");
    let text = text.replace("< ", "<").replace(" >", ">").replace("& ", "&").replace(" ,", ",");
    syn::Error::new_spanned(ty, format!("no OCaml type is known for `{text}`: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::{Passing, Table};
    use crate::Buffer;

    fn table() -> Table<'static> {
        Table { is_opaque: &|ident| ident == "Counter" }
    }

    fn ty(text: &str) -> syn::Type {
        syn::parse_str(text).expect("a type")
    }

    fn argument(text: &str) -> String {
        table().argument(&ty(text)).map_or_else(|e| format!("! {e}"), |k| k.ocaml.to_string())
    }

    fn result(text: &str) -> String {
        table().result(&ty(text)).map_or_else(|e| format!("! {e}"), |k| k.ocaml.to_string())
    }

    #[test]
    fn every_argument_type_has_its_ocaml_type() {
        for (rust, ocaml) in [
            ("isize", "int"),
            ("i64", "int64"),
            ("i32", "int32"),
            ("f64", "float"),
            ("bool", "bool"),
            ("()", "unit"),
            ("String", "string"),
            ("std::string::String", "string"),
            ("&str", "string"),
            ("&[u8]", "string"),
            ("Vec<u8>", "string"),
            ("&mut [u8]", "bytes"),
            ("Vec<isize>", "int list"),
            ("Vec<(String, f64)>", "(string * float) list"),
            ("Option<i64>", "int64 option"),
            ("&Counter", "Counter.t"),
            ("Rc<Counter>", "Counter.t"),
            ("Option<&Counter>", "Counter.t option"),
            ("BoxRoot<String>", "string"),
            ("OCaml<'_, OCamlList<isize>>", "int list"),
            ("BoxRoot<fn(String, isize) -> OCamlPromise<String>>", "string -> int -> string Lwt.t"),
            ("BoxRoot<fn(Counter)>", "Counter.t -> unit"),
            ("BoxRoot<Result<OCamlInt64, OCamlBytes>>", "(int64, bytes) result"),
            ("Promise<Option<String>>", "string option Lwt.t"),
            ("LwtStream<OCamlBytes>", "bytes Lwt_stream.t"),
            ("Buffer", "Cstruct.t"),
        ] {
            assert_eq!(argument(rust), ocaml, "{rust}");
        }
    }

    #[test]
    fn every_result_type_has_its_ocaml_type() {
        for (rust, ocaml) in [
            ("isize", "int"),
            ("Vec<u8>", "string"),
            ("Vec<Vec<u8>>", "string list"),
            ("Result<(), String>", "(unit, string) result"),
            (
                "Result<Counter, (isize, bool, f64, i32)>",
                "(Counter.t, int * bool * float * int32) result",
            ),
            ("Rc<Counter>", "Counter.t"),
            ("Feed<Vec<u8>>", "string Lwt_stream.t"),
            ("Option<Buffer>", "Cstruct.t option"),
        ] {
            assert_eq!(result(rust), ocaml, "{rust}");
        }
    }

    /// The rows of docs/boundary.md: `RUST` in the first cell, `OCAML` in the second.
    #[test]
    fn the_manual_has_the_ocaml_types_of_the_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/boundary.md");
        let page = std::fs::read_to_string(page).expect("the page");
        let mut describe: fn(&str) -> String = argument;
        let mut rows = 0;
        for line in page.lines() {
            if line.starts_with("| result in Rust") {
                describe = result;
            }
            let mut cells = line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']));
            let (Some(rust), Some(ocaml)) = (cells.next(), cells.next()) else { continue };
            let quoted = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
            let (Some(rust), Some(ocaml)) = (quoted(rust), quoted(ocaml)) else { continue };
            let found = match rust.strip_prefix("#[ocaml(cstruct)] ") {
                Some(bytes) => {
                    table().buffer(&ty(bytes), Buffer::Cstruct).expect("bytes").ocaml.to_string()
                }
                None => describe(&rust),
            };
            assert_eq!(found, ocaml, "{rust}");
            rows += 1;
        }
        assert!(rows > 20, "{rows} rows");
    }

    #[test]
    fn what_has_no_ocaml_type_is_told_what_to_do() {
        for (rust, hint) in [
            ("usize", "isize"),
            ("f32", "f64"),
            ("&mut Counter", "RefCell"),
            ("Counter", "borrow it"),
            ("Other", "export the type's `impl` block"),
            ("&Other", "export the type's `impl` block"),
            ("Rc<String>", "export the type's `impl` block"),
            ("(isize, isize, isize, isize, isize)", "two to four"),
            ("BoxRoot<i64>", "OCamlInt64"),
            ("BoxRoot<fn() -> isize>", "take `()`"),
            ("fn(isize) -> isize", "escape"),
            ("impl Fn()", "escape"),
        ] {
            let hint = if hint == "escape" { "#[ocaml(type" } else { hint };
            let said = argument(rust);
            assert!(said.starts_with("! ") && said.contains(hint), "{rust}: {said}");
        }
        assert!(result("&str").contains("return what the function owns"));
        assert!(result("Promise<String>").contains("async"));
    }

    #[test]
    fn numbers_are_passed_as_numbers_unless_they_are_inside_of_something() {
        let passing = |rust| table().argument(&ty(rust)).expect("known").passing;
        assert_eq!(passing("isize"), Passing::Untagged);
        assert_eq!(passing("f64"), Passing::Unboxed);
        assert_eq!(passing("bool"), Passing::Value);
        assert_eq!(passing("Option<isize>"), Passing::Value);
        assert_eq!(passing("BoxRoot<isize>"), Passing::Value);
    }

    #[test]
    fn bytes_can_be_another_buffer() {
        let buffer = |rust, buffer| table().buffer(&ty(rust), buffer).map(|k| k.ocaml.to_string());
        assert_eq!(buffer("&[u8]", Buffer::Cstruct).expect("bytes"), "Cstruct.t");
        assert_eq!(buffer("&mut [u8]", Buffer::Bytes).expect("bytes"), "bytes");
        assert_eq!(buffer("Vec<u8>", Buffer::Bytes).expect("bytes"), "bytes");
        assert!(buffer("&mut [u8]", Buffer::String).is_err());
        assert!(buffer("&str", Buffer::Cstruct).is_err());
        assert!(buffer("BoxRoot<OCamlBytes>", Buffer::Bytes).is_err());
    }

    #[test]
    fn a_type_is_named_by_a_path_that_nobody_can_shadow() {
        let rust = |text| table().result(&ty(text)).expect("known").rust.to_string();
        let named = rust("Result<Vec<u8>, String>");
        let full = ":: core :: result :: Result < :: std :: vec :: Vec < :: core :: primitive :: u8 > , \
                    :: std :: string :: String >";
        assert_eq!(named, full);
    }
}
