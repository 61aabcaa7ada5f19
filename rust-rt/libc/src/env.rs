//! The environment: one built-in variable, and what boot adds; and the arguments.

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicPtr, Ordering};

use super::errno::{self, EINVAL, ENOMEM};
use super::room;

/// The form of C's `environ`: pointers to `NAME=value`, then NULL.
#[repr(transparent)]
struct Built([*const c_char; 2]);

// SAFETY: the pointers are to static strings.
unsafe impl Sync for Built {}

/// OCaml 5 reserves address space for 128 domains; an image runs one.
static BUILT_IN: Built = Built([c"OCAMLRUNPARAM=d=1".as_ptr(), core::ptr::null()]);

/// C's variable. The arrays and strings that it once pointed to stay valid: C code may have kept
/// what `getenv` returned.
#[allow(non_upper_case_globals)]
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
static environ: AtomicPtr<*const c_char> =
    AtomicPtr::new((&raw const BUILT_IN).cast::<*const c_char>().cast_mut());

/// Every `NAME=value`.
fn entries() -> impl Iterator<Item = &'static CStr> {
    let list = environ.load(Ordering::Acquire);
    (0..).map_while(move |i| {
        // SAFETY: the array ends in NULL, and no index beyond that is asked for. Arrays and
        // strings are never freed.
        unsafe {
            let entry = *list.add(i);
            (!entry.is_null()).then(|| CStr::from_ptr(entry))
        }
    })
}

/// The value, when `entry` is the variable's.
fn value_of(entry: &'static CStr, name: &[u8]) -> Option<&'static CStr> {
    let value = entry.to_bytes_with_nul().strip_prefix(name)?.strip_prefix(b"=")?;
    CStr::from_bytes_with_nul(value).ok()
}

/// The value of an environment variable.
pub fn get(name: &[u8]) -> Option<&'static CStr> {
    entries().find_map(|entry| value_of(entry, name))
}

/// Sets an environment variable, or removes it when there is no value. False when the name is
/// empty or has a `=`, or when either has a NUL. The memory of an old value is not reused.
pub fn set(name: &[u8], value: Option<&[u8]>) -> bool {
    if name.is_empty() || name.contains(&b'=') {
        return false;
    }
    let new = value.map(|value| CString::new([name, b"=", value].concat()));
    if matches!(new, Some(Err(_))) {
        return false;
    }
    let others = entries().filter(|entry| value_of(entry, name).is_none());
    let mut list: Vec<*const c_char> = others.map(CStr::as_ptr).collect();
    if let Some(Ok(entry)) = new {
        list.push(entry.into_raw());
    }
    list.push(core::ptr::null());
    environ.store(Box::leak(list.into_boxed_slice()).as_mut_ptr(), Ordering::Release);
    true
}

/// The name and the value of `NAME=value`, if the name consists of capital letters, digits and underscores.
pub fn assignment(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = word.split_at(word.iter().position(|byte| *byte == b'=')?);
    let letter = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let named = name.first().is_some_and(letter)
        && name.iter().all(|byte| letter(byte) || byte.is_ascii_digit());
    named.then_some((name, &value[1..]))
}

/// Splits a command line, as a shell would: spaces separate. Between single quotes everything stands for itself;
/// between double quotes, and outside quotes, a backslash makes the next character stand for itself. An
/// unfinished quote ends with the line. The bytes of a word need not be UTF-8.
pub fn split(line: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, b' ' | b'\t' | b'\n') => words.extend(word.take()),
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                // Quotes make a word, an empty one as well.
                word.get_or_insert_default();
            }
            (Some(q), byte) if q == byte => quote = None,
            (None | Some(b'"'), b'\\') => word.get_or_insert_default().extend(bytes.next()),
            (_, byte) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

/// The arguments of a program: its name, and the words of the command line behind the variables at its
/// beginning. A count, and an array that ends in NULL; it is never freed.
pub fn arguments(line: &[u8]) -> (c_int, *const *const c_char) {
    let words = split(line).into_iter().skip_while(|word| assignment(word).is_some());
    // A word cannot contain a NUL: the line is a C string.
    let words = words.filter_map(|word| CString::new(word).ok());
    let all = core::iter::once(CString::from(c"mirust")).chain(words);
    let mut list: Vec<_> = all.map(|word| word.into_raw().cast_const()).collect();
    let count = list.len() as c_int;
    list.push(core::ptr::null());
    (count, list.leak().as_ptr())
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn getenv(name: *const c_char) -> *const c_char {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    get(name.to_bytes()).map_or(core::ptr::null(), CStr::as_ptr)
}

/// `getenv`: nothing in an image runs with raised privileges.
#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn secure_getenv(name: *const c_char) -> *const c_char {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    get(name.to_bytes()).map_or(core::ptr::null(), CStr::as_ptr)
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int {
    // SAFETY: both are C strings.
    let (name, value) = unsafe { (CStr::from_ptr(name), CStr::from_ptr(value)) };
    let keep = overwrite == 0 && get(name.to_bytes()).is_some();
    // The text is copied twice, and the list may move twice while it grows.
    let text = name.count_bytes() + value.count_bytes();
    if !keep && !room::is_there(2 * text + 32 * entries().count() + 512) {
        return errno::fail(ENOMEM);
    }
    if keep || set(name.to_bytes(), Some(value.to_bytes())) { 0 } else { errno::fail(EINVAL) }
}

#[cfg_attr(feature = "symbols", unsafe(no_mangle))]
unsafe extern "C" fn unsetenv(name: *const c_char) -> c_int {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    if set(name.to_bytes(), None) { 0 } else { errno::fail(EINVAL) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn a_variable_without_memory_is_not_set() {
        let (name, value) = (c"WITHOUT_MEMORY".as_ptr(), c"x".as_ptr());
        // SAFETY: C strings.
        let set = || unsafe { (setenv(name, value, 1), crate::errno::get()) };
        assert_eq!(crate::limited::with(200, set), (-1, crate::errno::ENOMEM));
        assert!(get(b"WITHOUT_MEMORY").is_none());
    }

    // One test: the environment is one for all threads.
    #[test]
    fn variables_are_set_replaced_and_removed() {
        assert_eq!(get(b"OCAMLRUNPARAM"), Some(c"d=1"));
        assert_eq!(get(b"OCAMLRUN"), None);
        assert!(set(b"A", Some(b"1")) && set(b"AB", Some(b"2")) && set(b"A", Some(b"3=4")));
        assert_eq!((get(b"A"), get(b"AB")), (Some(c"3=4"), Some(c"2")));
        // SAFETY: all are C strings.
        unsafe {
            assert_eq!(setenv(c"A".as_ptr(), c"5".as_ptr(), 0), 0);
            assert_eq!(CStr::from_ptr(getenv(c"A".as_ptr())), c"3=4");
            assert_eq!(setenv(c"A".as_ptr(), c"5".as_ptr(), 1), 0);
            assert_eq!(CStr::from_ptr(getenv(c"A".as_ptr())), c"5");
            assert_eq!(unsetenv(c"A".as_ptr()), 0);
            assert!(getenv(c"A".as_ptr()).is_null());
            assert_eq!(unsetenv(c"A=".as_ptr()), -1);
        }
        assert!(!set(b"", None) && !set(b"X", Some(b"a\0b")));
        assert_eq!(entries().count(), 2);
    }

    #[test]
    fn arguments_begin_behind_the_variables() {
        let (count, list) = arguments(b"A=1 B_2=x --flag 'two words' C=3");
        // SAFETY: as many C strings, and then NULL.
        let words: Vec<_> =
            (0..count as usize).map(|i| unsafe { CStr::from_ptr(*list.add(i)) }).collect();
        assert_eq!(words, [c"mirust", c"--flag", c"two words", c"C=3"]);
        // SAFETY: as above.
        assert!(unsafe { *list.add(4) }.is_null());
    }

    /// The words of a line, as text.
    fn words(line: &str) -> Vec<String> {
        split(line.as_bytes()).into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn spaces_separate_and_repeat() {
        assert_eq!(words(""), [""; 0]);
        assert_eq!(words("   "), [""; 0]);
        assert_eq!(words(" --a=1  -v\tb\n"), ["--a=1", "-v", "b"]);
    }

    #[test]
    fn quotes_join_and_vanish() {
        assert_eq!(words(r#"--name="two words" x"#), ["--name=two words", "x"]);
        assert_eq!(words("--name='two words'x"), ["--name=two wordsx"]);
        assert_eq!(words(r#"a "" '' b"#), ["a", "", "", "b"]);
    }

    #[test]
    fn each_quote_is_plain_within_the_other() {
        assert_eq!(words(r#""it's" 'say "hi"'"#), ["it's", r#"say "hi""#]);
    }

    #[test]
    fn backslash_escapes_except_between_single_quotes() {
        assert_eq!(words(r"a\ b \\ \'"), ["a b", r"\", "'"]);
        assert_eq!(words(r#""a\"b\\""#), [r#"a"b\"#]);
        assert_eq!(words(r"'a\b'"), [r"a\b"]);
    }

    #[test]
    fn an_assignment_has_a_name_in_capitals() {
        assert_eq!(assignment(b"RUST_LOG=a=b"), Some((&b"RUST_LOG"[..], &b"a=b"[..])));
        assert_eq!(assignment(b"_X1="), Some((&b"_X1"[..], &b""[..])));
        for word in ["--greeting=hello", "a=b", "1A=b", "=b", "A", "A-B=c"] {
            assert_eq!(assignment(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn an_unfinished_quote_or_escape_ends_with_the_line() {
        assert_eq!(words("a 'b c"), ["a", "b c"]);
        assert_eq!(words(r"a b\"), ["a", "b"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept() {
        assert_eq!(split(b"\xff 'a \xfe' \\\xc3"), [&b"\xff"[..], b"a \xfe", b"\xc3"]);
        assert_eq!(assignment(b"A=\xff"), Some((&b"A"[..], &b"\xff"[..])));
        assert_eq!(assignment(b"\xff=A"), None);
        let (count, list) = arguments(b"caf\xe9");
        // SAFETY: as many C strings.
        assert_eq!((count, unsafe { CStr::from_ptr(*list.add(1)) }), (2, c"caf\xe9"));
    }
}
