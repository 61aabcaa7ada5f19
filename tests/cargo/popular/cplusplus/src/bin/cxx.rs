use cxx::let_cxx_string;

#[cxx::bridge]
mod ffi {
    unsafe extern "C++" {
        include!("cplusplus/src/words/words.h");

        type Words;
        fn words() -> UniquePtr<Words>;
        fn add(self: Pin<&mut Words>, text: &str);
        fn count(&self, word: &CxxString) -> Result<usize>;
        fn list(&self) -> String;
        fn number(text: &str) -> Result<f64>;
        fn constructed() -> usize;
        fn in_threads(n: usize) -> usize;
    }
}

// C++ and its library: maps and streams, exceptions, constructors before main, threads and what is local to them.
fn main() {
    assert_eq!(ffi::constructed(), 2);
    let mut words = ffi::words();
    words.pin_mut().add("to be or not to be");
    let_cxx_string!(be = "be");
    let_cxx_string!(was = "was");
    assert_eq!(words.count(&be).unwrap(), 2);
    println!("{}", words.count(&was).unwrap_err());
    assert_eq!(words.list(), "    be=20 0.67;   not=10 0.33;    or=10 0.33;    to=20 0.67;");
    assert_eq!(ffi::number("2.5e3").unwrap(), 2500.0);
    assert!(ffi::number("none").unwrap_err().what().contains("stod"));
    assert_eq!(ffi::in_threads(4), 10);
    println!("works");
}
