(* OCaml owns the program. The module [Rust] is what src/lib.rs exports. *)

open Lwt.Infix

let rec count n =
  if n > 3 then Lwt.return_unit
  else (
    Printf.printf "OCaml counts %d\n%!" n;
    Mirust.Time.ns 100_000_000L >>= fun () -> count (n + 1))

let () =
  print_endline (Rust.greeting "OCaml");
  Mirust.Main.run (count 1)
