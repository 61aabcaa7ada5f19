(* The OCaml side of hello. [Rust] is generated from src/lib.rs. *)

open Lwt.Infix
open Mirust

let rec tock i n =
  if i > n then Lwt.return_unit
  else
    Time.ns 30_000_000L >>= fun () ->
    Printf.printf "ocaml: tock %d\n%!" i;
    tock (i + 1) n

let () =
  print_endline ("ocaml: Rust says " ^ Rust.greeting "OCaml");
  Rust.ask (fun n -> Printf.sprintf "%d, in OCaml %s" n Sys.ocaml_version);
  Rust.ask (fun _ -> raise Not_found);
  Main.run (Lwt.join [ Rust.tick 3; tock 1 2 ]);
  Format.printf "ocaml: %a@." Stats.Poll.pp (Stats.Poll.get ())
