open Mirust

let () =
  print_string "before ";
  Main.run (Lwt.bind (Time.ns 1L) (fun () -> failwith "no way on"))
