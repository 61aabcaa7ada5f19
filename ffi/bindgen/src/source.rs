//! What a Rust file exports.

use std::collections::{BTreeMap, BTreeSet};

use mirust_notation::{
    Function, Ocaml, Options, Table, docs, export_attribute, impl_name, lower_name, module_name,
};
use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ImplItem, Item};

/// What a file exports, in the file's order.
pub struct Module {
    /// The lines of the file's own documentation.
    pub docs: Vec<String>,
    pub items: Vec<Export>,
    /// Types that are referred to before their own module.
    pub forward: BTreeSet<String>,
}

pub enum Export {
    Function(Box<Function>),
    Type(ExportedType),
}

/// A type that OCaml owns.
pub struct ExportedType {
    /// Its Rust name, and its module's.
    pub name: Ident,
    pub docs: Vec<String>,
    pub functions: Vec<Function>,
}

/// Where something is wrong, and what to do about it.
pub type Fault = (LineColumn, String);

impl Module {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Reads a file.
pub fn read(text: &str) -> Result<Module, Vec<Fault>> {
    let mut reader = Reader::default();
    let module = syn::parse_file(text).map(|file| reader.file(&file)).unwrap_or_else(|error| {
        reader.fault(&error);
        Module { docs: Vec::new(), items: Vec::new(), forward: BTreeSet::new() }
    });
    if reader.faults.is_empty() { Ok(module) } else { Err(reader.faults) }
}

#[derive(Default)]
struct Reader {
    faults: Vec<Fault>,
    /// C symbols, and where they are.
    symbols: BTreeMap<String, usize>,
}

impl Reader {
    fn fault(&mut self, error: &syn::Error) {
        for error in error.clone() {
            self.faults.push((error.span().start(), error.to_string()));
        }
    }

    /// The value, or nothing and a fault.
    fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.fault(&error)).ok()
    }

    fn file(&mut self, file: &syn::File) -> Module {
        let opaque: Vec<Ident> = file
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Impl(block) if is_exported(&block.attrs) => impl_name(block).ok(),
                _ => None,
            })
            .collect();
        let is_opaque = |ident: &Ident| opaque.contains(ident);
        let table = Table { is_opaque: &is_opaque };
        let type_docs: BTreeMap<String, Vec<String>> = file
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Struct(item) => Some((item.ident.to_string(), docs(&item.attrs))),
                Item::Enum(item) => Some((item.ident.to_string(), docs(&item.attrs))),
                _ => None,
            })
            .collect();
        let mut items = Vec::new();
        for item in &file.items {
            match item {
                Item::Fn(item) => {
                    items.extend(
                        self.function(&item.attrs, &item.sig, None, &table)
                            .map(|f| Export::Function(Box::new(f))),
                    );
                }
                Item::Impl(block) => {
                    items.extend(self.block(block, &type_docs, &table).map(Export::Type));
                }
                Item::Mod(module) => self.inner(module),
                _ => {}
            }
        }
        self.check_names(&items);
        Module { docs: docs(&file.attrs), forward: forward(&items), items }
    }

    /// An exported function or method; nothing if it is not exported.
    fn function(
        &mut self,
        attributes: &[Attribute],
        signature: &syn::Signature,
        of: Option<&Ident>,
        table: &Table<'_>,
    ) -> Option<Function> {
        let options = match export_attribute(attributes) {
            Ok(None) if of.is_none() => return None,
            Ok(found) => Options::of_function(found.map(|(_, tokens)| tokens).unwrap_or_default()),
            Err(error) => Err(error),
        };
        let options = self.keep(options)?;
        self.refuse_conditions(attributes);
        let read = Function::read(&options, signature, attributes, of, table);
        let function = self.keep(read)?;
        let known = function.arguments.iter().map(|argument| &argument.known);
        for unknown in known.chain([&function.result]).filter_map(|known| known.as_ref().err()) {
            self.fault(unknown);
        }
        if function.result.as_ref().is_ok_and(|known| !function.is_async && is_arrow(&known.ocaml))
        {
            let message = "to OCaml a result that is a function is one more argument: return a tuple, an \
                           `Option` or a `Result` of it";
            self.fault(&syn::Error::new_spanned(&signature.output, message));
        }
        let at = signature.ident.span().start();
        if let Some(line) = self.symbols.insert(function.symbol.clone(), at.line) {
            let message = format!(
                "the C symbol `{}` is that of line {line}; give another: name = \"…\"",
                function.symbol
            );
            self.faults.push((at, message));
        }
        Some(function)
    }

    fn block(
        &mut self,
        block: &syn::ItemImpl,
        type_docs: &BTreeMap<String, Vec<String>>,
        table: &Table<'_>,
    ) -> Option<ExportedType> {
        let attribute = self.keep(export_attribute(&block.attrs))?;
        let Some((_, tokens)) = attribute else {
            // Perhaps somebody has forgotten the attribute above.
            for item in &block.items {
                if let ImplItem::Fn(method) = item {
                    if is_exported(&method.attrs) {
                        let message =
                            "a method is exported by `#[mirust::export]` on its `impl` block";
                        self.fault(&syn::Error::new_spanned(&method.sig.ident, message));
                    }
                }
            }
            return None;
        };
        self.keep(Options::of_type(tokens))?;
        self.refuse_conditions(&block.attrs);
        let name = self.keep(impl_name(block))?;
        self.keep(module_name(&name))?;
        let functions = block.items.iter().filter_map(|item| match item {
            ImplItem::Fn(method) => self.function(&method.attrs, &method.sig, Some(&name), table),
            _ => None,
        });
        let functions = functions.collect();
        let mut lines = type_docs.get(&name.to_string()).cloned().unwrap_or_default();
        let more = docs(&block.attrs);
        if !lines.is_empty() && !more.is_empty() {
            lines.push(String::new());
        }
        lines.extend(more);
        Some(ExportedType { name, docs: lines, functions })
    }

    /// An inline module: what it exports belongs in a file of its own.
    fn inner(&mut self, module: &syn::ItemMod) {
        for item in module.content.iter().flat_map(|(_, items)| items) {
            let attributes = match item {
                Item::Fn(item) => &item.attrs,
                Item::Impl(item) => &item.attrs,
                Item::Mod(module) => {
                    self.inner(module);
                    continue;
                }
                _ => continue,
            };
            if is_exported(attributes) {
                let message = "an export inside `mod { … }`: an OCaml module is made from a file, so move it to one";
                self.fault(&syn::Error::new(item.span(), message));
            }
        }
    }

    fn refuse_conditions(&mut self, attributes: &[Attribute]) {
        let condition = |a: &&Attribute| a.path().is_ident("cfg") || a.path().is_ident("cfg_attr");
        if let Some(attribute) = attributes.iter().find(condition) {
            let message =
                "whether this is there, only the compiler knows; put the condition inside";
            self.fault(&syn::Error::new_spanned(attribute, message));
        }
    }

    /// Names have to be different in OCaml, too.
    fn check_names(&mut self, items: &[Export]) {
        let mut values = BTreeMap::new();
        let mut modules = BTreeMap::new();
        for item in items {
            match item {
                Export::Function(function) => self.unique(&mut values, &function.name, false),
                Export::Type(exported) => {
                    self.unique(&mut modules, &exported.name, true);
                    let mut inside = BTreeMap::new();
                    for function in &exported.functions {
                        self.unique(&mut inside, &function.name, false);
                    }
                }
            }
        }
    }

    fn unique(&mut self, seen: &mut BTreeMap<String, usize>, ident: &Ident, module: bool) {
        let name = if module { ident.to_string() } else { lower_name(ident) };
        let at = ident.span().start();
        if let Some(line) = seen.insert(name.clone(), at.line) {
            let message = if module {
                format!("`{name}` has an exported `impl` block at line {line}; put them together")
            } else {
                format!(
                    "OCaml calls it `{name}`, and so the one of line {line}; rename one of them"
                )
            };
            self.faults.push((at, message));
        }
    }
}

fn is_arrow(ty: &Ocaml) -> bool {
    match ty {
        Ocaml::Arrow(..) => true,
        Ocaml::Given(text) => text.contains("->"),
        _ => false,
    }
}

fn is_exported(attributes: &[Attribute]) -> bool {
    matches!(export_attribute(attributes), Ok(Some(_)) | Err(_))
}

/// The types that are referred to before their own module.
fn forward(items: &[Export]) -> BTreeSet<String> {
    let mut defined = BTreeSet::new();
    let mut forward = BTreeSet::new();
    for item in items {
        let functions = match item {
            Export::Function(function) => std::slice::from_ref(&**function),
            Export::Type(exported) => {
                defined.insert(exported.name.to_string());
                &exported.functions[..]
            }
        };
        for function in functions {
            for known in function.arguments.iter().map(|a| &a.known).chain([&function.result]) {
                let Ok(known) = known else { continue };
                collect(&known.ocaml, &defined, &mut forward);
            }
        }
    }
    forward
}

fn collect(ty: &Ocaml, defined: &BTreeSet<String>, out: &mut BTreeSet<String>) {
    match ty {
        Ocaml::Opaque(ident) => {
            let name = ident.to_string();
            if !defined.contains(&name) {
                out.insert(name);
            }
        }
        Ocaml::Apply(parts, _) | Ocaml::Tuple(parts) => {
            parts.iter().for_each(|part| collect(part, defined, out))
        }
        Ocaml::Arrow(arguments, result) => {
            arguments.iter().for_each(|argument| collect(argument, defined, out));
            collect(result, defined, out);
        }
        Ocaml::Plain(_) | Ocaml::Given(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_fault_has_its_line_and_what_to_do() {
        for (text, faults) in [
            ("#[mirust::export]\nfn f(x: usize) -> u64 {}", &["2 isize", "2 isize"][..]),
            ("\n\nfn 3() {}", &["3 expected identifier"]),
            ("#[export]\nfn f(x: Other) {}", &["2 `impl` block"]),
            (
                "#[mirust::export]\nfn f() {}\n#[mirust::export(name = \"f\")]\nfn g() {}",
                &["4 line 2"],
            ),
            ("#[mirust::export]\nimpl A {\nfn new() {}\nfn create() {}\n}", &["4 `create`"]),
            (
                "#[mirust::export]\nimpl A {}\n#[mirust::export]\nimpl A {}",
                &["4 put them together"],
            ),
            ("#[mirust::export]\nimpl a {}", &["2 capital"]),
            ("#[mirust::export]\nimpl Lwt {}", &["2 hide"]),
            ("#[mirust::export]\nimpl A for B {}", &["2 trait"]),
            ("#[mirust::export]\nimpl<T> A<T> {}", &["2 no parameters"]),
            ("#[cfg(unix)]\n#[mirust::export]\nfn f() {}", &["1 condition"]),
            ("mod a {\n#[mirust::export]\nfn f() {}\n}", &["2 mod"]),
            ("impl A {\n#[mirust::export]\nfn f(&self) {}\n}", &["3 on its `impl` block"]),
            ("#[mirust::export]\nfn f() -> BoxRoot<fn(isize)> {}", &["2 one more argument"]),
            ("#[mirust::export(fast)]\nfn f() {}", &["1 expected `noalloc`"]),
        ] {
            let found = read(text).err().unwrap_or_default();
            assert_eq!(found.len(), faults.len(), "{text}: {found:?}");
            for ((at, message), fault) in found.iter().zip(faults) {
                let (line, hint) = fault.split_once(' ').expect("a line and a hint");
                assert_eq!(at.line.to_string(), line, "{text}: {message}");
                assert!(message.contains(hint), "{text}: {message}");
            }
        }
    }

    #[test]
    fn what_is_not_exported_is_left_alone() {
        let text = "fn f<T>(x: usize) {}\nimpl A { fn g(self) {} }\n#[other::export]\nfn h() {}\nmod b { fn i() {} }";
        assert!(read(text).is_ok_and(|module| module.is_empty()));
    }
}
