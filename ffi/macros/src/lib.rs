//! `#[mirust::export]`: generates the C functions through which OCaml calls Rust functions.
//!
//! Use it through the `mirust` crate, where it is documented.

use mirust_notation::{
    Function, Options, Table, export_attribute, impl_name, is_ocaml_attribute, result_is_value,
};
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{FnArg, Ident, ImplItem, Item, ItemFn, ItemImpl, Signature, parse_macro_input};

/// Exports a function, or the methods of a type, to OCaml; see `mirust::export`.
#[proc_macro_attribute]
pub fn export(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let exported = match parse_macro_input!(item as Item) {
        Item::Fn(function) => export_function(attribute.into(), function),
        Item::Impl(block) => export_type(attribute.into(), block),
        other => {
            Err(syn::Error::new_spanned(other, "only functions and `impl` blocks are exported"))
        }
    };
    exported.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Any name may be an OCaml type: the macro cannot see the file around it, and the tool, which can, is stricter.
const TABLE: Table<'static> = Table { is_opaque: &|_| true };

fn export_function(attribute: Tokens, mut function: ItemFn) -> syn::Result<Tokens> {
    let read = Options::of_function(attribute)
        .and_then(|options| Function::read(&options, &function.sig, &function.attrs, None, &TABLE));
    strip(&mut function.sig);
    let wrapper = match read {
        Ok(read) => wrapper(&read, None),
        Err(error) => error.into_compile_error(),
    };
    // The function stays what it is, for other Rust code and for its tests.
    Ok(quote! { #function #wrapper })
}

fn export_type(attribute: Tokens, mut block: ItemImpl) -> syn::Result<Tokens> {
    let options = Options::of_type(attribute)?;
    let of = impl_name(&block)?;
    let mut wrappers = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let read = export_attribute(&method.attrs).and_then(|attribute| {
            let options = Options::of_function(attribute.map(|(_, t)| t).unwrap_or_default())?;
            Function::read(&options, &method.sig, &method.attrs, Some(&of), &TABLE)
        });
        wrappers.push(match read {
            Ok(read) => wrapper(&read, Some(&of)),
            Err(error) => error.into_compile_error(),
        });
        method.attrs.retain(|a| !matches!(export_attribute(std::slice::from_ref(a)), Ok(Some(_))));
        strip(&mut method.sig);
    }
    let size = options.size.map(|size| {
        quote! {
            fn size(&self) -> usize {
                #size(self)
            }
        }
    });
    Ok(quote! {
        #block
        impl ::mirust::ocaml::Opaque for #of { #size }
        #(#wrappers)*
    })
}

/// Takes away what the compiler does not know.
fn strip(signature: &mut Signature) {
    for input in &mut signature.inputs {
        let attributes = match input {
            FnArg::Typed(argument) => &mut argument.attrs,
            FnArg::Receiver(receiver) => &mut receiver.attrs,
        };
        attributes.retain(|attribute| !is_ocaml_attribute(attribute));
    }
}

/// The C function.
fn wrapper(function: &Function, of: Option<&Ident>) -> Tokens {
    let ocaml = quote!(::mirust::ocaml::export);
    let (name, symbol) = (&function.name, &function.symbol);
    let types: Vec<_> = function.arguments.iter().map(|argument| &argument.ty).collect();
    let arguments: Vec<Ident> = (0..types.len()).map(|i| format_ident!("a{i}")).collect();
    let rooted = (function.with_runtime || function.is_async)
        .then(|| quote! { #(#ocaml::assert_rooted::<#types>();)* });
    let abi = match &function.output {
        _ if function.is_async => quote!(#ocaml::Raw),
        None => quote!(<() as #ocaml::Return>::Abi),
        // Its lifetime has no place in the C function's signature, nor has the type without it.
        Some(ty) if result_is_value(ty) => quote!(#ocaml::Raw),
        Some(ty) => quote!(<#ty as #ocaml::Return>::Abi),
    };
    let (this, others) = arguments.split_at(usize::from(function.receiver.is_some()));
    let runtime = function.with_runtime.then(|| quote! { scope.runtime(), });
    let path = match of {
        Some(of) => quote!(#of::#name),
        None => quote!(#name),
    };
    let call = quote! { #path(#(#this,)* #runtime #(#others),*) };
    let call = if function.is_async {
        quote! { #ocaml::launch(scope.runtime(), #call) }
    } else {
        quote! { #ocaml::Return::give(#call) }
    };
    let boundary =
        if function.noalloc { quote!(#ocaml::enter_noalloc) } else { quote!(#ocaml::enter) };
    let asserted = assertions(function);
    quote! {
        const _: () = {
            #[unsafe(export_name = #symbol)]
            #[allow(clippy::undocumented_unsafe_blocks)]
            extern "C" fn exported(
                #(#arguments: <#types as #ocaml::Argument>::Abi),*
            ) -> #abi {
                #rooted
                #asserted
                // SAFETY: OCaml calls this function, with arguments of the types that its
                // `external` declares; they are received once, before anything can run in OCaml.
                unsafe {
                    #boundary(|scope| {
                        #(let #arguments = <#types as #ocaml::Argument>::receive(scope, #arguments);)*
                        #call
                    })
                }
            }
        };
    }
}

/// Assertions that the types are those that the OCaml side assumes. A type that is not in the table needs none:
/// the tool refuses to write the OCaml side of it.
fn assertions(function: &Function) -> Tokens {
    let ocaml = quote!(::mirust::ocaml::export);
    let mut asserted = Tokens::new();
    let types = || function.arguments.iter().map(|argument| &argument.ty);
    for (a, b) in types().flat_map(|a| types().map(move |b| (a, b))) {
        asserted.extend(quote! { #ocaml::assert_apart::<#a, #b>(); });
    }
    for argument in &function.arguments {
        let ty = &argument.ty;
        asserted.extend(match &argument.known {
            Ok(_) if argument.given => quote! { #ocaml::assert_argument_is_value::<#ty>(); },
            Ok(known) => {
                let rust = &known.rust;
                quote! { #ocaml::assert_same::<#ty, #rust>(); }
            }
            Err(_) => Tokens::new(),
        });
    }
    if let Some(ty) = &function.output {
        asserted.extend(match &function.result {
            Ok(_) if function.result_given && function.is_async => Tokens::new(),
            Ok(_) if function.result_given => {
                quote! { #ocaml::assert_result_is_value::<#ty>(); }
            }
            Ok(known) => {
                let rust = &known.rust;
                quote! { #ocaml::assert_same::<#ty, #rust>(); }
            }
            Err(_) => Tokens::new(),
        });
    }
    asserted
}
