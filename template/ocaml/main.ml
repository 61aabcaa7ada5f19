(* OCaml owns the program; what it calls is in src/lib.rs. *)

open Lwt.Infix

external greeting : string -> string = "greeting"

let rec count n =
  if n > 3 then Lwt.return_unit
  else (
    Printf.printf "OCaml counts %d\n%!" n;
    Mirust.Time.ns 100_000_000L >>= fun () -> count (n + 1))

let () =
  print_endline (greeting "OCaml");
  Mirust.Main.run (count 1)
