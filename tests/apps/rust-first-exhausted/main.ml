(* Where main is one of two things in Rust's loop, its end for want of memory is the program's, too, and not that of
   something that nobody waits for. *)

open Lwt.Infix

let main () =
  Mirust.Time.ns 1_000_000L >>= fun () ->
  print_endline "ocaml: no memory";
  raise Out_of_memory

let () =
  (* Costs a warning. *)
  Lwt.async (fun () -> raise Out_of_memory);
  Mirust.Main.run (main ())
