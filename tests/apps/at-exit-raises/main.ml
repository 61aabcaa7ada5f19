(* An exception in the last moment is one that nobody has caught, as in any OCaml program; what else is to run at the
   end does. *)

let () =
  at_exit (fun () -> print_endline "registered first, and called last");
  at_exit (fun () -> failwith "at the end");
  Mirust.Main.run (Mirust.Time.ns 1L)
