(* A unikernel in OCaml only, on the plain Rust runtime. *)

open Lwt.Infix
open Mirust

let name =
  let doc = "Whom to greet." in
  Bootvar.register Cmdliner.Arg.(value & opt string "world" & info [ "name" ] ~doc)

let hello () =
  Printf.printf "Hello %s\n%!" (name ());
  Time.ns 20_000_000L >|= fun () ->
  Printf.printf "%Ld ms after boot\n%!" (Int64.div (Mclock.elapsed_ns ()) 1_000_000L)

let () = Main.run (hello ())
