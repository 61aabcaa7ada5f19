open Lwt.Infix
open Mirust

let () =
  Lwt.async (fun () -> Time.ns 1L >>= fun () -> raise Not_found);
  Main.run (Time.ns 1_000_000_000L)
