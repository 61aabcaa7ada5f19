open Mirust_netif
open Mirust_net_mock
open Mirust_wire

let send (port : Device.t) frame =
  let head = port.reserve (Cstruct.length frame) in
  if Cstruct.length head > 0 then (
    Cstruct.blit frame 0 head 0 (Cstruct.length frame);
    (* A full device loses the frame: the cable is bad anyway. *)
    ignore
      (port.send { head; payload = []; checksum_start = 0; checksum_offset = 0; gso_size = 0 }
        : Device.outcome);
    port.flush ())

(* What the other end left to a card is done here. *)
let plain ({ data; checksum; gso_size } : Packet.t) =
  if gso_size > 0 then Gso.segment ~gso_size data
  else (
    if checksum = `Blank then Gso.complete_received data;
    [ data ])

let forward from towards =
  from.Device.on_receive (List.iter (fun packet -> List.iter (send towards) (plain packet)))

let plug conditions (device : Device.t) =
  let network = Network.create ~conditions () in
  let ours = Network.attach ~mtu:(device.mtu ()) network device.mac in
  let far =
    Network.attach ~mtu:(device.mtu ()) ~promiscuous:true network
      (Macaddr.of_string_exn "02:ff:ff:ff:ff:ff")
  in
  forward device far;
  forward far device;
  ours
