//! Holds the C header, the Rust functions and the OCaml externals together. See `tests/`.
