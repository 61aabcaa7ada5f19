(* TCP and UDP echo (RFC 862), on port 7. *)

open Lwt.Infix
open Mirust_stack

let network = Mirust_network.register ()

let rec echo flow =
  Stack.TCP.read flow >>= function
  | Ok `Eof | Error _ -> Stack.TCP.close flow
  | Ok (`Data b) -> (
      Stack.TCP.write flow b >>= function Ok () -> echo flow | Error _ -> Stack.TCP.close flow)

(* Some services answer every datagram: answering one of them would never end, and a single forged datagram would start
   it (CVE-1999-0103). Clients do not use reserved ports, where services are, and port 0 is invalid. *)
let is_a_client's port = port >= 1024

(* If every host answered a broadcast, a datagram with a forged source would flood that source. *)
let is_ours stack dst = Ipaddr.compare (Stack.IP.src (Stack.ip stack) ~dst) dst = 0

let answer stack ~src ~dst ~src_port b =
  if is_a_client's src_port && is_ours stack dst then
    Stack.UDP.write ~src:dst ~src_port:7 ~dst:src ~dst_port:src_port (Stack.udp stack) b >|= ignore
  else Lwt.return_unit

let start () =
  network () >>= fun stack ->
  Stack.TCP.listen (Stack.tcp stack) ~port:7 echo;
  Stack.UDP.listen (Stack.udp stack) ~port:7 (answer stack);
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "echo on port 7 of %a"
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
