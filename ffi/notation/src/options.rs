//! The attributes `#[mirust::export(…)]`, and `#[ocaml(…)]` on an argument.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, LitStr, Meta, Path};

/// The options of `#[mirust::export(…)]`.
#[derive(Default)]
pub struct Options {
    /// `noalloc`: OCaml calls it as `[@@noalloc]`.
    pub noalloc: bool,
    /// `name = "…"`: the C symbol, without the prefix that all exports have.
    pub name: Option<LitStr>,
    /// `unsafe_symbol = "…"`: the whole C symbol, for the runtime's own exports. Unsafe, since it could replace any
    /// other function.
    pub unsafe_symbol: Option<LitStr>,
    /// `returns = "…"`: the OCaml type of the result, if it is not the one from the table.
    pub returns: Option<LitStr>,
    /// `size = path`: a `fn(&Type) -> usize` that returns the size of a value of the exported type.
    pub size: Option<Path>,
}

impl Options {
    /// Parses the options of a function or a method.
    ///
    /// # Errors
    ///
    /// If there is something else.
    pub fn of_function(tokens: TokenStream) -> syn::Result<Options> {
        let mut options = Options::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("noalloc") {
                options.noalloc = true;
                Ok(())
            } else if meta.path.is_ident("name") {
                options.name = Some(symbol(&meta)?);
                Ok(())
            } else if meta.path.is_ident("unsafe_symbol") {
                options.unsafe_symbol = Some(symbol(&meta)?);
                Ok(())
            } else if meta.path.is_ident("returns") {
                options.returns = Some(ocaml_type(&meta)?);
                Ok(())
            } else {
                let message =
                    "expected `noalloc`, `name = \"C symbol\"` or `returns = \"OCaml type\"`";
                Err(meta.error(message))
            }
        });
        parser.parse2(tokens)?;
        Ok(options)
    }

    /// Parses the options of an `impl` block.
    ///
    /// # Errors
    ///
    /// If there is something else.
    pub fn of_type(tokens: TokenStream) -> syn::Result<Options> {
        let mut options = Options::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("size") {
                options.size = Some(meta.value()?.parse()?);
                Ok(())
            } else {
                Err(meta.error("expected `size = path::of::a_function`"))
            }
        });
        parser.parse2(tokens)?;
        Ok(options)
    }
}

/// The attribute that exports an item, and what is in its parentheses.
///
/// # Errors
///
/// If there are no parentheses where there should be.
pub fn export_attribute(
    attributes: &[Attribute],
) -> syn::Result<Option<(&Attribute, TokenStream)>> {
    let found = attributes.iter().find(|attribute| {
        let path = &attribute.path().segments;
        let ours = path.len() == 1 || (path.len() == 2 && path[0].ident == "mirust");
        ours && path.last().is_some_and(|segment| segment.ident == "export")
    });
    found.map(|found| Ok((found, tokens_of(found)?))).transpose()
}

/// Whether this is `#[ocaml(…)]`.
pub fn is_ocaml_attribute(attribute: &Attribute) -> bool {
    attribute.path().is_ident("ocaml")
}

/// What is in the parentheses of an attribute.
fn tokens_of(attribute: &Attribute) -> syn::Result<TokenStream> {
    match &attribute.meta {
        Meta::Path(_) => Ok(TokenStream::new()),
        Meta::List(list) => Ok(list.tokens.clone()),
        Meta::NameValue(value) => Err(syn::Error::new_spanned(value, "expected `(…)`")),
    }
}

/// The value of `name`.
fn symbol(meta: &ParseNestedMeta) -> syn::Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    let text = name.value();
    let sound = !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if sound { Ok(name) } else { Err(syn::Error::new_spanned(name, "not the name of a C symbol")) }
}

/// The value of `type` or `returns`.
fn ocaml_type(meta: &ParseNestedMeta) -> syn::Result<LitStr> {
    let ty: LitStr = meta.value()?.parse()?;
    let text = ty.value();
    let odd = |c: char| c.is_control() || "\"@=;".contains(c);
    if text.trim().is_empty() || text.contains(odd) || text.contains("(*") {
        return Err(syn::Error::new_spanned(ty, "not an OCaml type"));
    }
    Ok(ty)
}

/// The OCaml type of an argument that is bytes in Rust.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffer {
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `Cstruct.t`
    Cstruct,
    /// `(char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t`
    Bigarray,
}

/// The options of `#[ocaml(…)]` on an argument.
pub(crate) enum Said {
    Buffer(Buffer),
    Type(LitStr),
}

/// Reads the `#[ocaml(…)]` attributes among those of an argument.
pub(crate) fn said(attributes: &[Attribute]) -> syn::Result<Option<Said>> {
    let mut found = None;
    for attribute in attributes.iter().filter(|a| is_ocaml_attribute(a)) {
        let parser = syn::meta::parser(|meta| {
            let buffer = [
                ("string", Buffer::String),
                ("bytes", Buffer::Bytes),
                ("cstruct", Buffer::Cstruct),
                ("bigarray", Buffer::Bigarray),
            ];
            let said = if let Some((_, b)) = buffer.iter().find(|(n, _)| meta.path.is_ident(n)) {
                Said::Buffer(*b)
            } else if meta.path.is_ident("type") {
                Said::Type(ocaml_type(&meta)?)
            } else {
                let message =
                    "expected `string`, `bytes`, `cstruct`, `bigarray` or `type = \"OCaml type\"`";
                return Err(meta.error(message));
            };
            if found.replace(said).is_some() {
                return Err(meta.error("an argument has one OCaml type"));
            }
            Ok(())
        });
        parser.parse2(tokens_of(attribute)?)?;
    }
    Ok(found)
}
