open Lwt.Infix
open Mirust

external give : (int -> int) -> unit = "mirust_export_give"

let () =
  print_endline "ocaml: toplevel";
  give (fun n -> 2 * n);
  at_exit (fun () -> print_endline "ocaml: at_exit");
  Domain.at_exit (fun () -> print_endline "ocaml: Domain.at_exit");
  Main.run
    ( Time.ns 20_000_000L >>= fun () ->
      print_endline "ocaml: tock";
      Time.ns 40_000_000L >|= fun () -> print_endline "ocaml: tock" );
  print_endline "ocaml: the loop is Rust's"
