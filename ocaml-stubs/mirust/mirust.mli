(** The OCaml side of a Mirust image: the loop, clocks, console, boot parameters.

    A program is an ordinary OCaml toplevel that ends in {!Main.run}:

    {[
      open Lwt.Infix
      open Mirust

      let () = Main.run (Time.ns 1_000_000_000L >|= fun () -> print_endline "a second has passed")
    ]}

    {1 Running} *)

module Main = Main
module Time = Time
module Bootvar = Bootvar
module Completion = Completion

(** {1 The machine} *)

module Mclock = Mclock
module Pclock = Pclock
module Console = Console
module Log = Log
module Random = Random
module Budget = Budget
module Collect = Collect
module Stats = Stats

(** {1 Rust} *)

(** A Rust function that OCaml called has panicked, with this message. What the function had begun
    is undone or not as its own documentation says; the program may go on. *)
exception Panic of string
