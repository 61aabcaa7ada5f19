(* Nobody waits for a request to end: it ends the program in good order. *)

open Lwt.Infix
open Mirust

let () =
  Main.at_exit (fun () -> Time.ns 1L >|= fun () -> print_endline "after main");
  at_exit (fun () -> print_endline "at_exit");
  print_endline "waiting";
  Main.run (Lwt.finalize (fun () -> fst (Lwt.task ())) (fun () -> Lwt.return (print_endline "cancelled")));
  print_endline "end"
