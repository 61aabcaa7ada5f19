open Mirust_tcpip
open Mirust_net_engine
open Mirust_netif
open Lwt.Infix
module W = Mirust_wire

let src = Logs.Src.create "mirust.stack" ~doc:"TCP/IP stack"

module Log = (val Logs.src_log src : Logs.LOG)

(* Failures of background work, which others may have provoked, and on which nothing waits. Running out of memory there
   ends only that piece of work. *)
let failures = Mirust_net_env.Thin.create ()

let in_background f =
  Lwt.dont_wait f (fun e ->
      Mirust_net_env.Thin.warn failures (module Log) (fun () -> Printexc.to_string e))

type ipv4 = { cidr : Ipaddr.V4.Prefix.t; gateway : Ipaddr.V4.t option }

type config = {
  ipv4 : [ `Off | `Static of ipv4 | `Dhcp ];
  ipv6 : [ `Off | `On ];
  ipv6_addresses : Ipaddr.V6.Prefix.t list;
  ipv6_gateway : Ipaddr.V6.t option;
  accept_router_advertisements : bool;
  ipv6_identifiers : [ `Modified_eui64 | `Stable of string | `Private ];
}

let default =
  {
    ipv4 = `Off;
    ipv6 = `On;
    ipv6_addresses = [];
    ipv6_gateway = None;
    accept_router_advertisements = true;
    ipv6_identifiers = `Modified_eui64;
  }

let check config =
  let ( let* ) = Result.bind in
  let each check list =
    List.fold_left (fun sofar a -> Result.bind sofar (fun () -> check a)) (Ok ()) list
  in
  let* () =
    match config.ipv4 with
    | `Off | `Dhcp -> Ok ()
    | `Static { cidr; gateway } ->
        let* () = Routes.check_host cidr in
        each (Routes.check_gateway cidr) (Option.to_list gateway)
  in
  let* () = each Ndp_engine.check_host config.ipv6_addresses in
  let* () =
    each (Ndp_engine.check_router config.ipv6_addresses) (Option.to_list config.ipv6_gateway)
  in
  if config.ipv4 = `Off && config.ipv6 = `Off then Error "both families are off" else Ok ()

type limits = {
  tcp : Mirust_tcp.Engine.config;
  neighbours : Neighbour.config;
  reassembly : Reassembly.config;
  own : int;
}

let default_limits =
  {
    tcp = Mirust_tcp.Engine.default_config;
    neighbours = Neighbour.default;
    reassembly = Reassembly.default;
    own = 4 lsl 20;
  }

module IP = Tcpip_stack_direct.Dual (Ipv4_core) (Ipv6_core)
module UDP = Udp.Make (IP)
module TCP = Mirust_tcp_flow.Tcp.Flow.Make (IP)
module ICMP = Icmpv4.Make (Ipv4_core)

type t = {
  netif : Netif.t;
  arp : Arp_core.t;
  v4 : Ipv4_core.t;
  v6 : Ipv6_core.t;
  ip : IP.t;
  icmp : ICMP.t;
  udp : UDP.t;
  tcp : TCP.t;
  dhcp : Dhcp_client.t option;
  with_v4 : bool;
  with_v6 : bool;
}

let netif t = t.netif
let arp t = t.arp
let ipv4 t = t.v4
let ipv6 t = t.v6
let icmp t = t.icmp
let udp t = t.udp
let tcp t = t.tcp
let ip t = t.ip
let dhcp t = t.dhcp

let configure_ipv4 ?claim v4 arp { cidr; gateway } =
  Log.info (fun m ->
      m "%a%a" Ipaddr.V4.Prefix.pp cidr Fmt.(option (any ", gateway " ++ Ipaddr.V4.pp)) gateway);
  Ipv4_address.use ?claim v4 arp ~cidr ?gateway ()

let set_ipv4 t = configure_ipv4 t.v4 t.arp
let clear_ipv4 t = Ipv4_address.drop t.v4 t.arp

(* {1 DHCP} *)

let dhcp_client netif arp v4 udp ~set ~clear =
  let send ~src ~dst datagram =
    in_background (fun () ->
        UDP.write ~src:(Ipaddr.V4 src) ~dst:(Ipaddr.V4 dst) ~src_port:W.Dhcpv4.client_port
          ~dst_port:W.Dhcpv4.server_port udp datagram
        >|= function
        | Ok () -> ()
        | Error e -> Log.debug (fun m -> m "dhcp: %a" UDP.pp_error e))
  in
  let mac = Netif.mac netif in
  let configure = function
    | None -> clear ()
    | Some (lease : Dhcp_engine.lease) ->
        Ipv4_core.set_mtu v4 lease.mtu;
        set { cidr = lease.address; gateway = List.nth_opt lease.routers 0 }
  in
  let client = Dhcp_client.create ~mac ~arp ~send configure in
  UDP.listen udp ~port:W.Dhcpv4.client_port (fun ~src:_ ~dst:_ ~src_port:_ datagram ->
      Dhcp_client.input client datagram;
      Lwt.return_unit);
  client

let dns t =
  let v4 =
    match Option.bind t.dhcp Dhcp_client.lease with
    | Some lease -> List.map (fun a -> Ipaddr.V4 a) lease.dns
    | None -> []
  in
  v4 @ List.map (fun a -> Ipaddr.V6 a) (Ipv6_core.dns t.v6)

let ready_v4 t =
  match t.dhcp with Some client -> Dhcp_client.bound client >|= ignore | None -> Lwt.return_unit

let ready_v6 t = Ipv6_core.ready t.v6 Ipaddr.V6.link_nodes
let ready t = if t.with_v4 then ready_v4 t else ready_v6 t

(* Or when it is clear that there will be none for now. *)
let settled_v6 t = Ipv6_core.route t.v6 Ipaddr.V6.link_nodes >|= ignore
let settled t = Lwt.join [ ready_v4 t; (if t.with_v6 then settled_v6 t else Lwt.return_unit) ]

(* {1 Receiving} *)

let other icmp v6 ~proto ~src ~dst ~tos:_ (p : W.Packet.t) =
  match (proto, src, dst) with
  | 1, Ipaddr.V4 src, Ipaddr.V4 dst -> in_background (fun () -> ICMP.input icmp ~src ~dst p.data)
  | _, Ipaddr.V4 src, Ipaddr.V4 dst -> ICMP.reject icmp ~src ~dst ~proto Protocol p.data
  | _, Ipaddr.V6 src, Ipaddr.V6 dst -> Ipv6_core.reject_protocol v6 ~src ~dst ~proto p.data
  | _, (Ipaddr.V4 _ | Ipaddr.V6 _), (Ipaddr.V4 _ | Ipaddr.V6 _) -> ()

let unlistened t ~src ~dst datagram =
  match (src, dst) with
  | Ipaddr.V4 src, Ipaddr.V4 dst -> ICMP.reject t.icmp ~src ~dst ~proto:17 Port datagram
  | Ipaddr.V6 src, Ipaddr.V6 dst -> Ipv6_core.reject t.v6 ~src ~dst ~proto:17 Port datagram
  | (Ipaddr.V4 _ | Ipaddr.V6 _), (Ipaddr.V4 _ | Ipaddr.V6 _) -> ()

let create_ipv6 config (limits : limits) link =
  let identifiers =
    match config.ipv6_identifiers with
    | `Modified_eui64 -> Ndp_engine.Modified_eui64
    | `Stable secret -> Stable secret
    | `Private -> Stable (Mirust_net_env.Env.random 16)
  in
  let engine =
    {
      Ndp_engine.default with
      handle_ra = config.accept_router_advertisements;
      neighbours = limits.neighbours;
      identifiers;
      optimistic = true;
    }
  in
  Ipv6_core.create ~reassembly:limits.reassembly ~own:limits.own ~config:engine link

let create_dhcp config netif arp v4 udp =
  match config.ipv4 with
  | `Off | `Static _ -> None
  | `Dhcp ->
      (* ARP's and the routing table's changes are immediate. *)
      Ipv4_core.set_acquiring v4 true;
      let set ipv4 =
        in_background (fun () -> configure_ipv4 ~claim:true v4 arp ipv4);
        Ipv4_core.set_acquiring v4 false
      in
      let clear () =
        Ipv4_core.set_acquiring v4 true;
        in_background (fun () -> Ipv4_address.drop v4 arp)
      in
      Some (dhcp_client netif arp v4 udp ~set ~clear)

(* Connects the layers to the device and to each other; frames are received from here on. *)
let receive t (device : Device.t) =
  let { netif; arp; v4; v6; tcp; udp; icmp; _ } = t in
  let packet =
    IP.input_packet t.ip ~tcp:(TCP.input_packet tcp) ~udp:(UDP.input_packet udp)
      ~default:(fun ~proto -> other icmp v6 ~proto)
  in
  Ipv4_core.set_loopback v4 (packet ~at:0);
  Ipv6_core.set_loopback v6 (packet ~at:0);
  UDP.on_unlistened udp (unlistened t);
  Netif.on_link netif (fun () ->
      Arp_core.announce_again arp;
      TCP.link_changed tcp;
      Option.iter Dhcp_client.link_changed t.dhcp;
      if t.with_v6 then Ipv6_core.announce_again v6);
  device.on_pressure (fun device -> TCP.compact ~device tcp);
  let frame = Frames.receive ~mac:(Netif.mac netif) ~arp ~v4 packet in
  Netif.listen_packets netif (Mirust_net_env.Env.each frame)

let attach ?(limits = default_limits) config device =
  (match check config with Ok () -> () | Error why -> invalid_arg ("Stack: " ^ why));
  let netif = Netif.connect device in
  let link = Link.of_netif netif in
  let arp = Arp_core.create ~config:limits.neighbours link in
  let v4 =
    let { reassembly; own; _ } = limits in
    Ipv4_core.create ~reassembly ~own link (Ipv4_core.resolver_of_arp arp)
  in
  let v6 = create_ipv6 config limits link in
  let with_v4 = config.ipv4 <> `Off and with_v6 = config.ipv6 = `On in
  IP.connect ~ipv4_only:(not with_v6) ~ipv6_only:(not with_v4) v4 v6 >>= fun ip ->
  ICMP.connect v4 >>= fun icmp ->
  UDP.connect ip >>= fun udp ->
  TCP.connect ~config:limits.tcp ip >>= fun tcp ->
  let dhcp = create_dhcp config netif arp v4 udp in
  let t = { netif; arp; v4; v6; ip; icmp; udp; tcp; dhcp; with_v4; with_v6 } in
  receive t device;
  if with_v6 then (
    Ipv6_core.start v6;
    List.iter (Ipv6_core.add_address v6) config.ipv6_addresses;
    Option.iter (Ipv6_core.add_router v6) config.ipv6_gateway);
  Option.iter Dhcp_client.start dhcp;
  (match config.ipv4 with `Off | `Dhcp -> Lwt.return_unit | `Static ipv4 -> set_ipv4 t ipv4)
  >|= fun () -> t

let connect ?limits config device =
  attach ?limits config device >>= fun t ->
  (* Tells a person at the console what the program is waiting for. *)
  let word =
    Mirust_net_env.Env.sleep (Mirust_net_env.Env.sec 10) >|= fun () ->
    Log.warn (fun m -> m "still without an address, and waiting for one")
  in
  Lwt.on_failure word ignore;
  ready t >|= fun () ->
  Lwt.cancel word;
  t

let listen t = Netif.disconnected t.netif

let disconnect t =
  Option.iter Dhcp_client.stop t.dhcp;
  TCP.disconnect t.tcp >>= fun () ->
  UDP.disconnect t.udp >>= fun () ->
  ICMP.disconnect t.icmp >>= fun () ->
  Ipv4_core.disconnect t.v4 >>= fun () ->
  Ipv6_core.disconnect t.v6 >>= fun () ->
  Arp_core.disconnect t.arp >>= fun () -> Netif.disconnect t.netif

module V4V6 = struct
  type nonrec t = t

  let disconnect = disconnect

  module UDP = UDP
  module TCP = TCP
  module IP = IP

  let udp = udp
  let tcp = tcp
  let ip = ip
  let listen = listen
end

module Dns =
  Dns_client.Make_bound
    (V4V6)
    (struct
      type udp = UDP.t
      type callback = UDP.callback

      let listen = UDP.listen_to
      let is_free = UDP.is_free
    end)
