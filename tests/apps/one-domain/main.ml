(* A second OCaml domain would enter Rust functions that the first one is in: there is none. *)
let spawn () =
  match Domain.spawn (fun () -> ()) with
  | _ -> print_endline "spawned"
  | exception Failure why -> print_endline why

let () =
  spawn ();
  (* Also when somebody has tried before. *)
  spawn ();
  Mirust.Main.run Lwt.return_unit
