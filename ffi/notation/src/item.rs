//! What an exported function says.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::{Attribute, Expr, FnArg, Ident, Lit, Meta, ReturnType, Signature, Type};

use crate::ocaml::{Ocaml, lower_name};
use crate::options::{Options, Said, said};
use crate::table::{Known, Passing, Table, is_ident};

/// An exported function or method.
pub struct Function {
    /// Its Rust name.
    pub name: Ident,
    /// Its OCaml name.
    pub ocaml_name: String,
    /// Its C name.
    pub symbol: String,
    /// Its documentation, a line each.
    pub docs: Vec<String>,
    /// Whether OCaml calls it as `[@@noalloc]`.
    pub noalloc: bool,
    /// Whether it gives a promise.
    pub is_async: bool,
    /// Whether it takes the runtime.
    pub with_runtime: bool,
    /// How it takes its `self`, which is the first of `arguments` then.
    pub receiver: Option<Receiver>,
    /// What OCaml passes.
    pub arguments: Vec<Argument>,
    /// The Rust type of the result; none for `()`.
    pub output: Option<Type>,
    /// What the table knows of the result, or why it knows nothing.
    pub result: syn::Result<Known>,
    /// Whether the source gives the result's OCaml type.
    pub result_given: bool,
}

/// How a method takes its `self`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receiver {
    /// `&self`
    Borrowed,
    /// `self: Rc<Self>`
    Shared,
}

/// An argument that OCaml passes.
pub struct Argument {
    /// Its Rust name, if it has one.
    pub name: Option<String>,
    /// Its Rust type.
    pub ty: Type,
    /// What the table knows of it, or why it knows nothing.
    pub known: syn::Result<Known>,
    /// Whether the source gives its OCaml type.
    pub given: bool,
}

/// Whether the type is `OCaml<T>`, whose lifetime has no place in a C function's signature.
pub fn result_is_value(ty: &Type) -> bool {
    matches!(ty, Type::Path(p) if p.path.segments.last().is_some_and(
        |s| s.ident == "OCaml" && !s.arguments.is_none()))
}

impl Function {
    /// Reads a function, or the method of a type.
    ///
    /// # Errors
    ///
    /// If it cannot be exported, whatever its types are.
    pub fn read(
        options: &Options,
        signature: &Signature,
        attributes: &[Attribute],
        of: Option<&Ident>,
        table: &Table<'_>,
    ) -> syn::Result<Function> {
        check(options, signature)?;
        let is_async = signature.asyncness.is_some();
        let mut receiver = None;
        let mut with_runtime = false;
        let mut arguments = Vec::new();
        for input in &signature.inputs {
            match input {
                FnArg::Receiver(this) => {
                    let (how, argument) = read_receiver(this, of, is_async, table)?;
                    receiver = Some(how);
                    arguments.push(argument);
                }
                FnArg::Typed(argument) if is_runtime(&argument.ty) => {
                    let first = arguments.len() == usize::from(receiver.is_some());
                    let message = if !first {
                        "the OCaml runtime is the first argument"
                    } else if options.noalloc {
                        "a noalloc function cannot have the OCaml runtime"
                    } else if is_async {
                        "an async function gets the OCaml runtime by `with_runtime`"
                    } else {
                        with_runtime = true;
                        continue;
                    };
                    return Err(syn::Error::new_spanned(input, message));
                }
                FnArg::Typed(argument) => arguments.push(read_argument(argument, of, table)?),
            }
        }
        if with_runtime && receiver == Some(Receiver::Borrowed) {
            return Err(syn::Error::new_spanned(&signature.inputs[0], SHARE));
        }
        let output = match &signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some(without_self((**ty).clone(), of)?),
        };
        let unit = syn::parse_quote!(());
        let result = match &options.returns {
            Some(text) => Ok(given_type(text.value())),
            None => table.result(output.as_ref().unwrap_or(&unit)),
        };
        if options.noalloc && !result.as_ref().is_ok_and(is_plain) {
            let message = "a noalloc function returns a number, a `bool` or nothing";
            return Err(syn::Error::new_spanned(&signature.output, message));
        }
        let symbol = match (&options.unsafe_symbol, &options.name) {
            (Some(symbol), _) => symbol.value(),
            (None, Some(name)) => format!("{PREFIX}{}", name.value()),
            (None, None) => format!("{PREFIX}{}", symbol(of, &signature.ident)),
        };
        Ok(Function {
            name: signature.ident.clone(),
            ocaml_name: lower_name(&signature.ident),
            symbol,
            docs: docs(attributes),
            noalloc: options.noalloc,
            is_async,
            with_runtime,
            receiver,
            arguments,
            output,
            result,
            result_given: options.returns.is_some(),
        })
    }
}

/// What no exported function may have, or none of this kind.
fn check(options: &Options, signature: &Signature) -> syn::Result<()> {
    if !signature.generics.params.is_empty() {
        let message = "an exported function has no parameters of its own; elide lifetimes";
        return Err(syn::Error::new_spanned(&signature.generics, message));
    }
    if signature.asyncness.is_some() && options.noalloc {
        let message = "a promise is allocated";
        return Err(syn::Error::new_spanned(signature.asyncness, message));
    }
    Ok(())
}

/// Whether a result takes no allocation.
fn is_plain(known: &Known) -> bool {
    known.passing != Passing::Value
        || [Ocaml::Plain("bool"), Ocaml::Plain("unit")].contains(&known.ocaml)
}

/// An argument that is neither the receiver nor the runtime.
fn read_argument(
    argument: &syn::PatType,
    of: Option<&Ident>,
    table: &Table<'_>,
) -> syn::Result<Argument> {
    let ty = without_self((*argument.ty).clone(), of)?;
    let said = said(&argument.attrs)?;
    let given = matches!(said, Some(Said::Type(_)));
    let known = match said {
        None => table.argument(&ty),
        // An annotation that does not fit its argument is an error in the macro and in bindgen alike.
        Some(Said::Buffer(buffer)) => Ok(table.buffer(&ty, buffer)?),
        Some(Said::Type(text)) => Ok(given_type(text.value())),
    };
    let name = match &*argument.pat {
        syn::Pat::Ident(pattern) => Some(pattern.ident.unraw().to_string()),
        _ => None,
    };
    Ok(Argument { name, ty, known, given })
}

const SHARE: &str = "OCaml may run, and drop the value, before this ends: take `self: Rc<Self>`";

fn read_receiver(
    this: &syn::Receiver,
    of: Option<&Ident>,
    is_async: bool,
    table: &Table<'_>,
) -> syn::Result<(Receiver, Argument)> {
    let Some(of) = of else {
        let message = "a method is exported by `#[mirust::export]` on its `impl` block";
        return Err(syn::Error::new_spanned(this, message));
    };
    let ty = without_self((*this.ty).clone(), Some(of))?;
    let how = match &ty {
        Type::Reference(reference) if reference.mutability.is_none() => Receiver::Borrowed,
        Type::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "Rc") => {
            Receiver::Shared
        }
        _ => {
            let message = "OCaml may share what it owns: take `&self` or `self: Rc<Self>`, and use `Cell` \
                           or `RefCell` for what changes";
            return Err(syn::Error::new_spanned(this, message));
        }
    };
    if is_async && how == Receiver::Borrowed {
        return Err(syn::Error::new_spanned(this, SHARE));
    }
    let known = table.argument(&ty);
    Ok((how, Argument { name: Some("self".into()), ty, known, given: false }))
}

fn given_type(text: String) -> Known {
    Known { ocaml: Ocaml::Given(text), rust: TokenStream::new(), passing: Passing::Value }
}

/// Whether the type is `&mut OCamlRuntime`, by whatever path.
fn is_runtime(ty: &Type) -> bool {
    matches!(ty, Type::Reference(r) if r.mutability.is_some() && is_ident(&r.elem, "OCamlRuntime"))
}

/// What every exported C name begins with. Nothing of the runtime, of the C library or of OCaml does, so that an
/// export can be called `malloc` and takes nobody's place.
const PREFIX: &str = "mirust_export_";

/// The C name of a function, or of the method of a type, without the prefix: `tcp_stream_read`.
fn symbol(of: Option<&Ident>, name: &Ident) -> String {
    let mut out = String::new();
    if let Some(of) = of {
        let mut before_lower = false;
        for c in of.unraw().to_string().chars() {
            if c.is_ascii_uppercase() && before_lower {
                out.push('_');
            }
            before_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
            out.push(c.to_ascii_lowercase());
        }
        out.push('_');
    }
    out + &name.unraw().to_string()
}

/// The type with the name of the `impl` block's type for `Self`.
fn without_self(ty: Type, of: Option<&Ident>) -> syn::Result<Type> {
    fn replace(tokens: TokenStream, of: &Ident) -> TokenStream {
        let tokens = tokens.into_iter().map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                let mut of = of.clone();
                of.set_span(ident.span());
                TokenTree::Ident(of)
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace(group.stream(), of));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        });
        tokens.collect()
    }
    match of {
        Some(of) => syn::parse2(replace(quote::ToTokens::to_token_stream(&ty), of)),
        None => Ok(ty),
    }
}

/// The lines of the documentation.
pub fn docs(attributes: &[Attribute]) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        if let Meta::NameValue(pair) = &attribute.meta {
            if let Expr::Lit(literal) = &pair.value {
                if let Lit::Str(text) = &literal.lit {
                    lines.extend(
                        text.value().lines().map(|l| l.strip_prefix(' ').unwrap_or(l).into()),
                    );
                    if text.value().is_empty() {
                        lines.push(String::new());
                    }
                }
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Function, Receiver, symbol};
    use crate::{Options, Table};

    fn read(options: &str, function: &str) -> syn::Result<Function> {
        let options = Options::of_function(options.parse().expect("tokens"))?;
        let item: syn::ImplItemFn = syn::parse_str(function)?;
        let of = syn::parse_str("Counter")?;
        let table = Table { is_opaque: &|_| true };
        Function::read(&options, &item.sig, &item.attrs, Some(&of), &table)
    }

    #[test]
    fn a_method_takes_its_self_first() {
        let f = read("", "fn add(&self, n: isize) -> Self {}").expect("a method");
        assert_eq!(f.receiver, Some(Receiver::Borrowed));
        let types: Vec<String> = f
            .arguments
            .iter()
            .map(|a| a.known.as_ref().expect("known").ocaml.to_string())
            .collect();
        assert_eq!(types, ["Counter.t", "int"]);
        assert_eq!(f.result.expect("known").ocaml.to_string(), "Counter.t");
        assert_eq!(f.symbol, "mirust_export_counter_add");
    }

    #[test]
    fn what_cannot_be_exported_says_why() {
        for (options, function, why) in [
            ("", "fn f<T>() {}", "elide lifetimes"),
            ("", "fn f(self) {}", "RefCell"),
            ("", "fn f(&mut self) {}", "RefCell"),
            ("", "async fn f(&self) {}", "self: Rc<Self>"),
            ("", "fn f(&self, ocaml: &mut OCamlRuntime) {}", "self: Rc<Self>"),
            ("", "fn f(n: isize, ocaml: &mut OCamlRuntime) {}", "first argument"),
            ("", "async fn f(ocaml: &mut OCamlRuntime) {}", "with_runtime"),
            ("noalloc", "fn f(ocaml: &mut OCamlRuntime) {}", "noalloc"),
            ("noalloc", "async fn f() {}", "a promise is allocated"),
            ("noalloc", "fn f() -> String {}", "a number"),
            ("name = \"a b\"", "fn f() {}", "C symbol"),
            ("returns = \"int = 3\"", "fn f() {}", "not an OCaml type"),
            ("size = f", "fn f() {}", "expected `noalloc`"),
            ("", "fn f(#[ocaml(cstruct)] s: &str) {}", "only `&[u8]`"),
            ("", "fn f(#[ocaml(bytes, cstruct)] s: &[u8]) {}", "one OCaml type"),
            ("", "fn f(#[ocaml(lwt)] s: &[u8]) {}", "expected `string`"),
        ] {
            let error = read(options, function).err().map_or("none".into(), |e| e.to_string());
            assert!(error.contains(why), "{function}: {error}");
        }
    }

    #[test]
    fn an_export_takes_no_other_functions_place() {
        for (options, function) in [("", "fn malloc() {}"), ("name = \"caml_alloc\"", "fn f() {}")]
        {
            let symbol = read(options, function).expect("a function").symbol;
            assert!(symbol.starts_with("mirust_export_"), "{symbol}");
        }
    }

    #[test]
    fn a_symbol_has_the_types_name_before_it() {
        let of = |name| syn::parse_str(name).expect("an identifier");
        assert_eq!(symbol(Some(&of("TcpStream")), &of("read")), "tcp_stream_read");
        assert_eq!(symbol(Some(&of("Sha256")), &of("new")), "sha256_new");
        assert_eq!(symbol(None, &of("r#type")), "type");
    }
}
