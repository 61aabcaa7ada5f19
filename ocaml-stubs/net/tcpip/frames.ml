module W = Mirust_wire

(* A packet for one host in a frame for many is not taken (RFC 1122 section 3.3.6): it is how filters at a wireless
   station are gone round. *)
let fits_its_frame v4 frame ~at =
  (not (W.Ethernet.is_group frame))
  ||
  match Tcpip_stack_direct.destination frame ~at with
  | Some (Ipaddr.V4 a) ->
      Mirust_net_engine.Routes.is_group (Ipv4_core.routes v4) a || Ipv4_core.configured_ips v4 = []
  | Some (Ipaddr.V6 a) -> Ipaddr.V6.is_multicast a
  | None -> false

let receive ~mac ~arp ~v4 packet =
  let station = W.Field.mac_number mac in
  fun (p : W.Packet.t) ->
    (* Nearly all frames. *)
    if W.Ethernet.is_plain_ipv4 station p.data then packet ~at:W.Ethernet.header_length p
    else
      match W.Ethernet.proto p.data with
      | Some proto when W.Ethernet.is_for_station station p.data -> (
          let at = W.Ethernet.payload_start p.data in
          match proto with
          | `IPv4 | `IPv6 -> if fits_its_frame v4 p.data ~at then packet ~at p
          | `ARP -> Arp_core.input_packet arp (Cstruct.shift p.data at))
      | Some _ | None -> ()
