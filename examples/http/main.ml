(* The OCaml side of http: the network, and the answer to /ocaml. [Rust] is generated from src/lib.rs. *)

open Lwt.Infix
open Mirust_stack

let network = Mirust_network.register ()

let answer name =
  Mirust.Time.ns 1_000_000L >|= fun () ->
  if name = "raise" then failwith "as it was asked to";
  Printf.sprintf "Hello %s, this is OCaml %s\n" name Sys.ocaml_version

let start () =
  network () >>= fun stack ->
  Mirust_rust.serve stack;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "http on port 80 of %a"
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  (* A quarter of the memory for them: two buffers of hyper's for each, what is around them, and what it has written
     and nobody has taken. *)
  let places = Rust.Places.create 16 in
  Mirust.Budget.follow (fun { total; _ } ->
      Rust.Places.set_most places (max 16 (min 1024 (total / 4 / 80_000))));
  let server = Rust.serve places answer >|= function Ok () -> () | Error e -> failwith e in
  Lwt.pick [ server; Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ]
  >>= fun () -> Stack.disconnect stack

let () = Mirust.Main.run (start ())
