(* An exception in a closure that Rust called and that has nobody to go to: the frames of both languages. *)

external call_from_task : (unit -> unit) -> unit = "mirust_export_call_from_task"

let[@inline never] fails () = if Sys.opaque_identity true then failwith "no way on"
let[@inline never] called_by_rust () = Lwt.async (fun () -> fails (); Lwt.return_unit)

let () =
  print_endline "before";
  call_from_task called_by_rust;
  Mirust.Main.run (fst (Lwt.wait ()))
