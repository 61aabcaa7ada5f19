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

(** What the program runs on: ["xen"] or ["unix"]. *)
val platform : unit -> string

(** The program asked for something that this machine does not have or permit, such as a network
    device; the message says what. This is not a bug in the program: uncaught, it ends the program
    with the message and status 1, without a backtrace. *)
exception Unavailable of string

module Mclock = Mclock
module Pclock = Pclock
module Places = Places
module Console = Console
module Exchange = Exchange
module Log = Log
module Random = Random
module Budget = Budget
module Collect = Collect
module Stats = Stats
module Memory = Memory
module Suspend = Suspend

(** {1 Rust} *)

module Streams = Streams

(** A Rust function called by OCaml has panicked, with this message. The program may go on; whether
    the work that the function had begun was undone depends on the function. *)
exception Panic of string
