//! `#[mirust::export]`: the C function that OCaml sees of a Rust function.
//!
//! Use it through the `mirust` crate, where it is documented.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{FnArg, Ident, ItemFn, LitStr, PathArguments, ReturnType, Type, parse_macro_input};

/// Exports a function to OCaml; see `mirust::export`.
#[proc_macro_attribute]
pub fn export(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut options = Options::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("noalloc") {
            options.noalloc = true;
            Ok(())
        } else if meta.path.is_ident("name") {
            options.name = Some(meta.value()?.parse()?);
            Ok(())
        } else {
            Err(meta.error("expected `noalloc` or `name = \"symbol\"`"))
        }
    });
    parse_macro_input!(attribute with parser);
    let function = parse_macro_input!(item as ItemFn);
    let wrapper = expand(&options, &function).unwrap_or_else(syn::Error::into_compile_error);
    // The function stays what it is, for other Rust code and for its tests.
    quote! { #function #wrapper }.into()
}

#[derive(Default)]
struct Options {
    noalloc: bool,
    name: Option<LitStr>,
}

fn expand(options: &Options, function: &ItemFn) -> syn::Result<Tokens> {
    let signature = &function.sig;
    let is_async = signature.asyncness.is_some();
    if !signature.generics.params.is_empty() {
        let message = "an exported function has no parameters of its own; elide lifetimes";
        return Err(syn::Error::new_spanned(&signature.generics, message));
    }
    let mut types = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Typed(argument) => types.push(&*argument.ty),
            FnArg::Receiver(receiver) => {
                return Err(syn::Error::new_spanned(receiver, "a method cannot be exported"));
            }
        }
    }
    let with_runtime = types.first().is_some_and(|ty| is_runtime(ty));
    if with_runtime {
        types.remove(0);
        if options.noalloc {
            let message = "a noalloc function cannot have the OCaml runtime";
            return Err(syn::Error::new_spanned(&signature.inputs[0], message));
        }
        if is_async {
            let message = "an async function gets the OCaml runtime by `with_runtime`";
            return Err(syn::Error::new_spanned(&signature.inputs[0], message));
        }
    }
    if is_async && options.noalloc {
        let message = "a promise is allocated";
        return Err(syn::Error::new_spanned(signature.asyncness, message));
    }

    let ocaml = quote!(::mirust::ocaml::export);
    let name = &signature.ident;
    let symbol =
        options.name.clone().unwrap_or_else(|| LitStr::new(&name.to_string(), name.span()));
    let arguments: Vec<Ident> = (0..types.len()).map(|i| format_ident!("a{i}")).collect();
    let rooted =
        (with_runtime || is_async).then(|| quote! { #(#ocaml::assert_rooted::<#types>();)* });
    let runtime = with_runtime.then(|| quote! { scope.runtime(), });
    let abi = match &signature.output {
        _ if is_async => quote!(#ocaml::Raw),
        ReturnType::Default => quote!(<() as #ocaml::Return>::Abi),
        // Its lifetime has no place in the C function's signature, nor has the type without it.
        ReturnType::Type(_, ty) if is_ocaml_value(ty) => quote!(#ocaml::Raw),
        ReturnType::Type(_, ty) => quote!(<#ty as #ocaml::Return>::Abi),
    };
    let call = quote! { #name(#runtime #(#arguments),*) };
    let call = if is_async {
        quote! { #ocaml::launch(scope.runtime(), #call) }
    } else {
        quote! { #ocaml::Return::give(#call) }
    };
    let boundary =
        if options.noalloc { quote!(#ocaml::enter_noalloc) } else { quote!(#ocaml::enter) };
    Ok(quote! {
        const _: () = {
            #[unsafe(export_name = #symbol)]
            #[allow(unsafe_code, clippy::undocumented_unsafe_blocks)]
            extern "C" fn exported(
                #(#arguments: <#types as #ocaml::Argument>::Abi),*
            ) -> #abi {
                #rooted
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
    })
}

/// Whether the type is `&mut OCamlRuntime`, by whatever path.
fn is_runtime(ty: &Type) -> bool {
    matches!(ty, Type::Reference(r) if r.mutability.is_some() && last_is(&r.elem, "OCamlRuntime"))
}

/// Whether the type is `OCaml<T>`.
fn is_ocaml_value(ty: &Type) -> bool {
    last_is(ty, "OCaml")
        && matches!(ty, Type::Path(p) if p.path.segments.last().is_some_and(
            |s| matches!(s.arguments, PathArguments::AngleBracketed(_))))
}

fn last_is(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == name))
}
