(* The OCaml side of http: the network, and the answer to /ocaml. *)

open Lwt.Infix
open Mirust_stack

(* The server: a Rust future. It calls [answer] for each request of /ocaml/NAME. *)
external serve : (string -> string Lwt.t) -> (unit, string) result Lwt.t = "http_serve"

let network = Mirust_network.register ()

let answer name =
  Mirust.Time.ns 1_000_000L >|= fun () ->
  Printf.sprintf "Hello %s, this is OCaml %s\n" name Sys.ocaml_version

let start () =
  network () >>= fun stack ->
  Mirust_rust.serve stack;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "http on port 80 of %a"
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  let server = serve answer >|= function Ok () -> () | Error e -> failwith e in
  Lwt.pick [ server; Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ]
  >>= fun () -> Stack.disconnect stack

let () = Mirust.Main.run (start ())
