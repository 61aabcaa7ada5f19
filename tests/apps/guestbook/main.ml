(* Generated bindings of an application elsewhere. *)

open Lwt.Infix
open Mirust

let visit guests name = Guestbook.Guests.welcome guests name >|= Printf.printf "visit %d\n%!"

let visits () =
  let guests = Guestbook.Guests.create () in
  visit guests "OCaml" >>= fun () ->
  Gc.compact ();
  visit guests "OCaml" >>= fun () -> visit guests "Rust"

let () =
  Main.run (visits ());
  Gc.full_major ();
  Main.run (Time.ns 1_000_000L);
  print_endline "end"
