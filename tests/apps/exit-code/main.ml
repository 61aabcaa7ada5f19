open Mirust

let () =
  at_exit (fun () -> print_endline "at_exit");
  Main.run (Lwt.map (fun () -> exit 5) (Time.ns 1L))
