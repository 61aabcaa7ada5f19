(* The network for a program whose main function is Rust's (mirust::net::up). *)

open Lwt.Infix
open Mirust_stack

let network = Mirust_network.register ()

let start () =
  network () >>= fun stack ->
  Stack.ready stack >>= fun () ->
  Mirust_rust.serve stack;
  Logs.app (fun m ->
      m "network: %a"
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Stack.listen stack

let () = Mirust.Main.run (start ())
