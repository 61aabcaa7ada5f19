open Mirust

let name = Bootvar.register Cmdliner.Arg.(value & opt string "nobody" & info [ "name" ])

let () =
  at_exit (fun () -> print_endline "at_exit");
  Main.at_exit (fun () -> Lwt.map (fun () -> print_endline "after main") (Time.ns 1L));
  Main.run (Lwt.map (fun () -> print_endline (name ())) (Time.ns 1L));
  print_endline "end"
