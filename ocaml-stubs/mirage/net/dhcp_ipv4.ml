(* IPv4 with an address by DHCP, as Mirage's functor [Dhcp_ipv4.Make]. *)

open Mirust_net_engine
open Lwt.Infix
module Arp_core = Mirust_tcpip.Arp_core
module Dhcp_client = Mirust_tcpip.Dhcp_client
module Ipv4_address = Mirust_tcpip.Ipv4_address
module Ipv4_core = Mirust_tcpip.Ipv4_core
module W = Mirust_wire

let src = Logs.Src.create "mirust.dhcp" ~doc:"IPv4 by DHCP, in Mirage's words"

module Log = (val Logs.src_log src : Logs.LOG)
module U = Udp.Make (Ipv4_core)

type device = { net : Netif.t; ip : Ipv4_core.t; options : (int * string) list option }

(* Code that mirage before 4.10.5 has written takes what [Make.connect] gives for IPv4 itself. What later code asks of
   it is here. *)
let devices : device list ref = ref []
let of_ip ip = List.find (fun d -> d.ip == ip) !devices

(* To which the stack hands on datagrams from port 67, once it has taken the device over. *)
let clients : (Netif.t * Dhcp_client.t) list ref = ref []
let client netif = List.assq_opt netif !clients

(* Whether a frame is a datagram for the client. *)
let for_client station b =
  let length = Cstruct.length b and at = W.Ethernet.header_length in
  length >= at + 28
  && W.Ethernet.is_for_station station b
  && W.Ethernet.get_ethertype b = 0x0800
  && Cstruct.get_uint8 b (at + 9) = 17
  && Cstruct.BE.get_uint16 b (at + 6) land 0x1fff = 0
  &&
  let udp = at + (4 * (Cstruct.get_uint8 b at land 15)) in
  length >= udp + 8 && Cstruct.BE.get_uint16 b (udp + 2) = W.Dhcpv4.client_port

(* The client has UDP of its own, so that there can be a lease before there is a stack. *)
let by_dhcp ?requests net ip arp =
  U.connect ip >>= fun udp ->
  let send ~src ~dst datagram =
    Lwt.dont_wait
      (fun () ->
        U.write ~src ~dst ~src_port:W.Dhcpv4.client_port ~dst_port:W.Dhcpv4.server_port udp datagram
        >|= function
        | Ok () -> ()
        | Error e -> Log.debug (fun m -> m "%a" U.pp_error e))
      (fun e -> Log.err (fun m -> m "%s" (Printexc.to_string e)))
  in
  let configure = function
    | None -> Lwt.async (fun () -> Ipv4_address.drop ip arp)
    | Some (lease : Dhcp_engine.lease) ->
        Log.info (fun m -> m "%a" Ipaddr.V4.Prefix.pp lease.address);
        Ipv4_core.set_mtu ip lease.mtu;
        Lwt.async
          (Ipv4_address.use ~claim:true ip arp ~cidr:lease.address
             ?gateway:(List.nth_opt lease.routers 0))
  in
  let client =
    Dhcp_client.create ~host_name:(Mirage_runtime.name ()) ?wanted:requests ~mac:(Netif.mac net)
      ~arp ~send configure
  in
  clients := (net, client) :: !clients;
  U.listen udp ~port:W.Dhcpv4.client_port (fun ~src:_ ~dst:_ ~src_port:_ datagram ->
      Dhcp_client.input client datagram;
      Lwt.return_unit);
  let nobody ~src:_ ~dst:_ ~tos:_ _ = () in
  let packet =
    Ipv4_core.input_packet ip ~tcp:nobody ~udp:(U.input_packet udp) ~default:(fun ~proto:_ ->
        nobody)
  in
  let of_ipv4 ~at (p : W.Packet.t) =
    match Mirust_tcpip.Tcpip_stack_direct.destination p.data ~at with
    | Some (Ipaddr.V4 _) -> packet ~at p
    | Some (Ipaddr.V6 _) | None -> ()
  in
  let frame = Mirust_tcpip.Frames.receive ~mac:(Netif.mac net) ~arp ~v4:ip of_ipv4 in
  Mirust_netif.Netif.listen_packets net (Mirust_net_env.Env.each frame);
  let station = W.Field.mac_number (Netif.mac net) in
  Netif.keep net (fun b ->
      let ours = for_client station b in
      if ours then frame (W.Packet.v b);
      ours);
  (* A stack that takes the device over does this too, and more. *)
  Mirust_netif.Netif.on_link net (fun () ->
      Arp_core.announce_again arp;
      Dhcp_client.link_changed client);
  Dhcp_client.start client;
  Dhcp_client.bound client >|= fun lease -> lease.options

module type S = Static_ipv4.S

module Make (N : Netif.S) (E : Ethernet.S) (A : Arp.S) = struct
  include Ipv4_core

  let write = forward

  (* Our client says by itself what the generated code gives as [options]. *)
  let connect ?(no_init = false) ?cidr ?gateway ?options:_ ?requests net ethernet arp =
    let ip = Static_ipv4.create_shared (E.link ethernet) arp in
    (match cidr with
    | _ when no_init -> Lwt.return_none
    | Some cidr -> Ipv4_address.use ip arp ~cidr ?gateway () >|= fun () -> None
    | None -> by_dhcp ?requests net ip arp >|= Option.some)
    >|= fun options ->
    devices := { net; ip; options } :: !devices;
    ip

  (* Of the lease, for [Mirust_mirage_charrua]. *)
  let options ip = (of_ip ip).options
end

module Proj_net (D : S) = struct
  include Netif

  let connect (ip : D.t) = Lwt.return (of_ip ip).net
end

module Proj_ipv4 (D : S) = struct
  include Ipv4_core

  let write = forward
  let connect (ip : D.t) = Lwt.return ip
end
