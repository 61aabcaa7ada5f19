(* The OCaml side of hello. *)

open Lwt.Infix
open Mirust

external greeting : string -> string = "hello_greeting"
external ask : (int -> string) -> unit = "hello_ask"
external tick : (int[@untagged]) -> (int[@untagged]) -> unit = "mirust_native_only" "hello_tick"

let rec tock i n =
  if i > n then Lwt.return_unit
  else
    Time.ns 30_000_000L >>= fun () ->
    Printf.printf "ocaml: tock %d\n%!" i;
    tock (i + 1) n

let () =
  print_endline ("ocaml: Rust says " ^ greeting "OCaml");
  ask (fun n -> Printf.sprintf "%d, in OCaml %s" n Sys.ocaml_version);
  ask (fun _ -> raise Not_found);
  let ticked, rust = Completion.create () in
  tick 3 ticked;
  Main.run (Lwt.join [ rust; tock 1 2 ]);
  Format.printf "ocaml: %a@." Stats.Poll.pp (Stats.Poll.get ())
