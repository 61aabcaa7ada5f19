(* A server for the real iperf3, on TCP port 5201. *)

open Lwt.Infix
open Mirust_stack

let network = Mirust_network.register ()

let start () =
  network () >>= fun stack ->
  Server.listen stack;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "iperf3 server on port %d of %a" Server.port
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
