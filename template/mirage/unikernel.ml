open Lwt.Infix

(* The module Greeter is src/greeter.rs. *)
let start () =
  Greeter.welcome "Mirage" >|= fun words -> Logs.info (fun m -> m "%s" words)
