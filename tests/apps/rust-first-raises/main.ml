(* An exception in a hook of the loop, which is Rust's, is OCaml's own failure, and named. *)

let () =
  Mirust.Main.at_enter_iter (fun () -> failwith "in a hook");
  Mirust.Main.run (Mirust.Time.ns 1L)
