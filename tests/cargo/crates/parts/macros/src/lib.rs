//! Runs on the host while the program is compiled.

use proc_macro::TokenStream;

/// A number, six times as large.
#[proc_macro]
pub fn six_times(number: TokenStream) -> TokenStream {
    let number: u64 = number.to_string().parse().expect("a number");
    (number * 6).to_string().parse().expect("a token")
}
