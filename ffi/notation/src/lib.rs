//! What an exported Rust item says, and which OCaml type belongs to which Rust type.
//!
//! The attribute `#[mirust::export]` generates the C side of an export, and the tool `mirust-bindgen` the OCaml side.
//! Both parse the item with this crate, so that they cannot disagree: [`Function`] is what they agree on, and [`Table`]
//! lists the types.
//!
//! The table goes by how a type is written, because that is all there is to go by. The attribute
//! therefore has the compiler check that each type really is the one in the table: [`Known::rust`] names
//! it by a path that nobody can shadow.

mod item;
mod ocaml;
mod options;
mod table;

pub use item::{Argument, Function, Receiver, docs, result_is_value};
pub use ocaml::{Ocaml, lower_name, module_name};
pub use options::{Buffer, Options, export_attribute, is_ocaml_attribute};
pub use table::{Known, Passing, Table};

/// The exported item of a type: the `impl` block's type name, or why it is none.
///
/// # Errors
///
/// If the block is one of a trait, of a generic type, or of a type that is not a plain name.
pub fn impl_name(block: &syn::ItemImpl) -> syn::Result<syn::Ident> {
    if let Some((_, path, _)) = &block.trait_ {
        let message = "a trait's methods cannot be exported; export an `impl` block of the type";
        return Err(syn::Error::new_spanned(path, message));
    }
    if !block.generics.params.is_empty() {
        let message = "an exported type has no parameters: OCaml calls one function, not many";
        return Err(syn::Error::new_spanned(&block.generics, message));
    }
    match &*block.self_ty {
        syn::Type::Path(path) if path.qself.is_none() && path.path.get_ident().is_some() => {
            Ok(path.path.segments[0].ident.clone())
        }
        other => Err(syn::Error::new_spanned(other, "the exported type has to be a plain name")),
    }
}
