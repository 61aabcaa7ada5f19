//! Boot parameters: the command line, split.

pub use mirust_rt::libc::env::split;

use std::ffi::OsString;
#[cfg(feature = "ocaml")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;

use mirust_rt::libc::env::assignment;

use crate::platform;

/// The program's parameters, after its name: in an image that of the image and the kernel's command line, split as a
/// shell would split it, on Unix the process's arguments.
///
/// Spaces separate parameters. Between single quotes everything stands for itself; between double
/// quotes, and outside quotes, a backslash makes the next character stand for itself. An
/// unfinished quote ends with the line.
///
/// On Xen, leading words of the form `NAME=value` are not parameters but environment variables, as
/// before a command in a shell: `OCAMLRUNPARAM=b,d=1 --greeting=hello`. Such a name
/// consists of capital letters, digits and underscores.
///
/// # Panics
///
/// If one of them is not UTF-8, as [`std::env::args`] does. [`args_os`] has all.
pub fn args() -> Vec<String> {
    let text = |arg: OsString| {
        arg.into_string().unwrap_or_else(|arg| panic!("a boot parameter is not UTF-8: {arg:?}"))
    };
    args_os().into_iter().map(text).collect()
}

/// The same, in whatever encoding they are.
pub fn args_os() -> Vec<OsString> {
    let mut args = vec![name()];
    if cfg!(feature = "xen") {
        let words = split(&platform::command_line()).into_iter();
        let words = words.skip_while(|word| assignment(word).is_some());
        args.extend(words.map(OsString::from_vec));
    } else {
        args.extend(std::env::args_os().skip(1));
    }
    args
}

/// What the program is called.
#[cfg(feature = "xen")]
fn name() -> OsString {
    // SAFETY: the type is that of the string which `rust-rt/link/image` makes.
    unsafe extern "C" {
        static mirust_image_name: std::ffi::c_char;
    }
    // SAFETY: it is a C string, and constant.
    let name = unsafe { std::ffi::CStr::from_ptr(&raw const mirust_image_name) };
    OsString::from_vec(name.to_bytes().to_vec())
}

/// What the program is called.
#[cfg(not(feature = "xen"))]
fn name() -> OsString {
    std::env::args_os().next().unwrap_or_else(|| "mirust".into())
}

/// Sets the environment variables of the command line. Called once, before the program begins.
pub(crate) fn set_environment() {
    #[cfg(all(feature = "ocaml", feature = "xen"))]
    set(b"OCAMLRUNPARAM", minor_heap(platform::mem_stats().total).as_bytes());
    #[cfg(feature = "xen")]
    for (name, value) in split(&platform::command_line()).iter().map_while(|w| assignment(w)) {
        set(name, value);
    }
    #[cfg(feature = "ocaml")]
    one_domain();
}

/// Sets an environment variable.
#[cfg(feature = "xen")]
fn set(name: &[u8], value: &[u8]) {
    // Std's own way here, but that panics if it fails, which takes a name of a wrong form.
    mirust_rt::libc::env::set(name, Some(value));
}

/// Sets an environment variable.
#[cfg(all(feature = "ocaml", not(feature = "xen")))]
fn set(name: &[u8], value: &[u8]) {
    let [name, value] = [name, value].map(std::ffi::OsStr::from_bytes);
    // SAFETY: the program has one thread yet.
    unsafe { std::env::set_var(name, value) };
}

/// How many words of a domain's memory are OCaml's minor heap at the start. OCaml 5 takes 2 MiB, which is much of
/// a small domain: a quarter of one of 8 MiB. Twice as much is kept for its collection (`ocaml/reserve.rs`).
#[cfg(all(feature = "ocaml", feature = "xen"))]
fn minor_heap(memory: u64) -> &'static str {
    const MIB: u64 = 1 << 20;
    match memory {
        _ if memory < 16 * MIB => "d=1,s=32k",
        _ if memory < 24 * MIB => "d=1,s=64k",
        _ if memory < 40 * MIB => "d=1,s=128k",
        _ => "d=1,s=256k",
    }
}

/// Has `Domain.spawn` fail, whatever the user's `OCAMLRUNPARAM` says: a second OCaml domain would enter Rust functions
/// that a first one is in.
#[cfg(feature = "ocaml")]
fn one_domain() {
    let mut parameters = std::env::var_os("OCAMLRUNPARAM").unwrap_or_default();
    // The last one counts.
    parameters.push(if parameters.is_empty() { "d=1" } else { ",d=1" });
    set(b"OCAMLRUNPARAM", parameters.as_bytes());
}
