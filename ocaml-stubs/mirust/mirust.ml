module Bootvar = Bootvar
module Completion = Completion
module Console = Console
module Log = Log
module Main = Main
module Mclock = Mclock
module Pclock = Pclock
module Random = Random
module Stats = Stats
module Time = Time

exception Panic = Panic.Panic

let abi_version = 1

(* Runs before any module of a program that uses this library. *)
let () =
  if Abi.version () <> abi_version then
    failwith
      (Printf.sprintf "the OCaml libraries speak version %d of the ABI, the runtime %d" abi_version
         (Abi.version ()));
  ignore (Abi.init () : int);
  Logs.set_reporter (Log.reporter ());
  Log.set_level (Some Logs.Info)
