//! A guestbook. What OCaml sees of it is in a module of its own.

mod guestbook;
