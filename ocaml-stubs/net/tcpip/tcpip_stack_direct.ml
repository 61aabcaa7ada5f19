open Mirust_mirage_types
module W = Mirust_wire

let src = Logs.Src.create "mirust.stack" ~doc:"TCP/IP stack"

module Log = (val Logs.src_log src : Logs.LOG)

let version b ~at = if Cstruct.length b <= at then 0 else W.Field.u8 b at lsr 4

(* The loopback network is there whichever families are on. A packet to it that has come from outside
   is thrown away by the layer that gets it. *)
let is_loopback = function
  | Ipaddr.V4 a -> Mirust_net_engine.Routes.is_loopback a
  | Ipaddr.V6 a -> Ipaddr.V6.(compare a localhost) = 0

let destination b ~at =
  let length = Cstruct.length b - at in
  match version b ~at with
  | 4 when length >= W.Ipv4.min_header_length -> Some (Ipaddr.V4 (W.Field.v4 b (at + 16)))
  | 6 when length >= W.Ipv6.header_length -> Some (Ipaddr.V6 (W.Field.v6 b (at + 24)))
  | _ -> None

let to_loopback b ~at = match destination b ~at with Some a -> is_loopback a | None -> false

module Base
    (Ipv4 : Tcpip.Ip.S with type ipaddr = Ipaddr.V4.t and type prefix = Ipaddr.V4.Prefix.t)
    (Ipv6 : Tcpip.Ip.S with type ipaddr = Ipaddr.V6.t and type prefix = Ipaddr.V6.Prefix.t) =
struct
  type ipaddr = Ipaddr.t
  type prefix = Ipaddr.Prefix.t
  type callback = src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t
  type error = [ Tcpip.Ip.error | `Ipv4 of Ipv4.error | `Ipv6 of Ipv6.error ]

  let pp_error ppf = function
    | #Tcpip.Ip.error as e -> Tcpip.Ip.pp_error ppf e
    | `Ipv4 e -> Ipv4.pp_error ppf e
    | `Ipv6 e -> Ipv6.pp_error ppf e

  let pp_ipaddr = Ipaddr.pp
  let pp_prefix = Ipaddr.Prefix.pp

  type t = { v4 : Ipv4.t; v6 : Ipv6.t; has4 : bool; has6 : bool }

  let connect ~ipv4_only ~ipv6_only v4 v6 =
    if ipv4_only && ipv6_only then invalid_arg "IPV4V6.connect: both ipv4_only and ipv6_only";
    Lwt.return { v4; v6; has4 = not ipv6_only; has6 = not ipv4_only }

  let disconnect _ = Lwt.return_unit
  let lift4 f ~src ~dst b = f ~src:(Ipaddr.V4 src) ~dst:(Ipaddr.V4 dst) b
  let lift6 f ~src ~dst b = f ~src:(Ipaddr.V6 src) ~dst:(Ipaddr.V6 dst) b

  let input t ~tcp ~udp ~default =
    let v4 =
      Ipv4.input t.v4 ~tcp:(lift4 tcp) ~udp:(lift4 udp) ~default:(fun ~proto ->
          lift4 (default ~proto))
    and v6 =
      Ipv6.input t.v6 ~tcp:(lift6 tcp) ~udp:(lift6 udp) ~default:(fun ~proto ->
          lift6 (default ~proto))
    in
    fun b ->
      match version b ~at:0 with
      | 4 when t.has4 -> v4 b
      | 6 when t.has6 -> v6 b
      | _ -> Lwt.return_unit

  let mixed = `No_route "source and destination of different families"
  let disabled = `No_route "this family is disabled"
  let only_v6 = function Ipaddr.V6 a -> Some a | Ipaddr.V4 _ -> None
  let error4 r = Result.map_error (fun e -> `Ipv4 e) r
  let error6 r = Result.map_error (fun e -> `Ipv6 e) r

  let write t ?fragment ?ttl ?src to_ proto ?size fill payload =
    match (to_, src) with
    | Ipaddr.V4 dst, (None | Some (Ipaddr.V4 _)) when t.has4 || is_loopback to_ ->
        let src = Option.bind src Ipaddr.to_v4 in
        Lwt.map error4 (Ipv4.write t.v4 ?fragment ?ttl ?src dst proto ?size fill payload)
    | Ipaddr.V6 dst, (None | Some (Ipaddr.V6 _)) when t.has6 || is_loopback to_ ->
        let src = Option.bind src only_v6 in
        Lwt.map error6 (Ipv6.write t.v6 ?fragment ?ttl ?src dst proto ?size fill payload)
    | Ipaddr.V4 _, Some (Ipaddr.V6 _) | Ipaddr.V6 _, Some (Ipaddr.V4 _) -> Lwt.return_error mixed
    | (Ipaddr.V4 _ | Ipaddr.V6 _), _ -> Lwt.return_error disabled

  let pseudoheader t ?src dst proto len =
    match (dst, src) with
    | Ipaddr.V4 dst, Some (Ipaddr.V4 src) -> Ipv4.pseudoheader t.v4 ~src dst proto len
    | Ipaddr.V4 dst, None -> Ipv4.pseudoheader t.v4 dst proto len
    | Ipaddr.V6 dst, Some (Ipaddr.V6 src) -> Ipv6.pseudoheader t.v6 ~src dst proto len
    | Ipaddr.V6 dst, None -> Ipv6.pseudoheader t.v6 dst proto len
    | Ipaddr.V4 _, Some (Ipaddr.V6 _) | Ipaddr.V6 _, Some (Ipaddr.V4 _) ->
        invalid_arg "pseudoheader: source and destination of different families"

  let src t ~dst =
    match dst with
    | Ipaddr.V4 dst -> Ipaddr.V4 (Ipv4.src t.v4 ~dst)
    | Ipaddr.V6 dst -> Ipaddr.V6 (Ipv6.src t.v6 ~dst)

  let configured_ips t =
    let v4 = if t.has4 then Ipv4.configured_ips t.v4 else [] in
    let v6 = if t.has6 then Ipv6.configured_ips t.v6 else [] in
    List.map (fun p -> Ipaddr.V4 p) v4 @ List.map (fun p -> Ipaddr.V6 p) v6

  let get_ip t = List.map Ipaddr.Prefix.address (configured_ips t)

  let mtu t ~dst =
    match dst with Ipaddr.V4 dst -> Ipv4.mtu t.v4 ~dst | Ipaddr.V6 dst -> Ipv6.mtu t.v6 ~dst
end

module IPV4V6
    (Ipv4 : Tcpip.Ip.S with type ipaddr = Ipaddr.V4.t and type prefix = Ipaddr.V4.Prefix.t)
    (Ipv6 : Tcpip.Ip.S with type ipaddr = Ipaddr.V6.t and type prefix = Ipaddr.V6.Prefix.t) =
  Base (Ipv4) (Ipv6)

module Dual
    (Ipv4 : Ip_ext.S with type ipaddr = Ipaddr.V4.t and type prefix = Ipaddr.V4.Prefix.t)
    (Ipv6 : Ip_ext.S with type ipaddr = Ipaddr.V6.t and type prefix = Ipaddr.V6.Prefix.t) =
struct
  include Base (Ipv4) (Ipv6)

  type path = P4 of Ipv4.path | P6 of Ipv6.path
  type receiver = src:ipaddr -> dst:ipaddr -> tos:int -> W.Packet.t -> unit

  let path4 r = error4 (Result.map (fun p -> P4 p) r)
  let path6 r = error6 (Result.map (fun p -> P6 p) r)

  let path t ?src to_ =
    match (to_, src) with
    | Ipaddr.V4 dst, (None | Some (Ipaddr.V4 _)) when t.has4 || is_loopback to_ ->
        path4 (Ipv4.path t.v4 ?src:(Option.bind src Ipaddr.to_v4) dst)
    | Ipaddr.V6 dst, (None | Some (Ipaddr.V6 _)) when t.has6 || is_loopback to_ ->
        path6 (Ipv6.path t.v6 ?src:(Option.bind src only_v6) dst)
    | Ipaddr.V4 _, Some (Ipaddr.V6 _) | Ipaddr.V6 _, Some (Ipaddr.V4 _) -> Error mixed
    | (Ipaddr.V4 _ | Ipaddr.V6 _), _ -> Error disabled

  (* Only the family's own errors may be over in a moment. *)
  let route t ?src to_ =
    match (path t ?src to_, to_) with
    | Error (`Ipv4 _), Ipaddr.V4 dst ->
        Lwt.map path4 (Ipv4.route t.v4 ?src:(Option.bind src Ipaddr.to_v4) dst)
    | Error (`Ipv6 _), Ipaddr.V6 dst ->
        Lwt.map path6 (Ipv6.route t.v6 ?src:(Option.bind src only_v6) dst)
    | ((Ok _ | Error _) as r), _ -> Lwt.return r

  let source = function P4 p -> Ipaddr.V4 (Ipv4.source p) | P6 p -> Ipaddr.V6 (Ipv6.source p)

  let destination = function
    | P4 p -> Ipaddr.V4 (Ipv4.destination p)
    | P6 p -> Ipaddr.V6 (Ipv6.destination p)

  let path_mtu = function P4 p -> Ipv4.path_mtu p | P6 p -> Ipv6.path_mtu p
  let lower_mtu = function P4 p -> Ipv4.lower_mtu p | P6 p -> Ipv6.lower_mtu p
  let max_segment = function P4 p -> Ipv4.max_segment p | P6 p -> Ipv6.max_segment p
  let confirm = function P4 p -> Ipv4.confirm p | P6 p -> Ipv6.confirm p

  let output p ~tos ~gso_size ~proto ~checksum_offset ~size fill payload =
    match p with
    | P4 p -> Ipv4.output p ~tos ~gso_size ~proto ~checksum_offset ~size fill payload
    | P6 p -> Ipv6.output p ~tos ~gso_size ~proto ~checksum_offset ~size fill payload

  let is_unicast = function P4 p -> Ipv4.is_unicast p | P6 p -> Ipv6.is_unicast p

  (* Both are on the same device. *)
  let on_room t f = if t.has4 then Ipv4.on_room t.v4 f else Ipv6.on_room t.v6 f
  let flush t = if t.has4 then Ipv4.flush t.v4 else Ipv6.flush t.v6
  let receive4 f ~src ~dst ~tos p = f ~src:(Ipaddr.V4 src) ~dst:(Ipaddr.V4 dst) ~tos p
  let receive6 f ~src ~dst ~tos p = f ~src:(Ipaddr.V6 src) ~dst:(Ipaddr.V6 dst) ~tos p

  let input_packet t ~tcp ~udp ~default =
    let v4 =
      Ipv4.input_packet t.v4 ~tcp:(receive4 tcp) ~udp:(receive4 udp) ~default:(fun ~proto ->
          receive4 (default ~proto))
    and v6 =
      Ipv6.input_packet t.v6 ~tcp:(receive6 tcp) ~udp:(receive6 udp) ~default:(fun ~proto ->
          receive6 (default ~proto))
    in
    fun ~at (p : W.Packet.t) ->
      match version p.data ~at with
      | 4 when t.has4 || to_loopback p.data ~at -> v4 ~at p
      | 6 when t.has6 || to_loopback p.data ~at -> v6 ~at p
      | _ -> ()

  let on_problem t f =
    Ipv4.on_problem t.v4 (fun ~proto ~src ~dst problem b ->
        f ~proto ~src:(Ipaddr.V4 src) ~dst:(Ipaddr.V4 dst) problem b);
    Ipv6.on_problem t.v6 (fun ~proto ~src ~dst problem b ->
        f ~proto ~src:(Ipaddr.V6 src) ~dst:(Ipaddr.V6 dst) problem b)
end

module MakeV4V6
    (Netif : Mirage_net.S)
    (Eth : Ethernet.S)
    (Arpv4 : Arp.S)
    (Ip : Tcpip.Ip.S with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t)
    (Icmp : Icmpv4.S)
    (Udp : Tcpip.Udp.S with type ipaddr = Ipaddr.t)
    (Tcp : Tcpip.Tcp.S with type ipaddr = Ipaddr.t) =
struct
  module UDP = Udp
  module TCP = Tcp
  module IP = Ip

  type t = {
    netif : Netif.t;
    eth : Eth.t;
    arp : Arpv4.t;
    ip : Ip.t;
    icmp : Icmp.t;
    udp : Udp.t;
    tcp : Tcp.t;
    listening : unit Lwt.t;
  }

  let udp t = t.udp
  let tcp t = t.tcp
  let ip t = t.ip
  let listen t = t.listening

  let receive netif eth arp ip icmp udp tcp =
    let default ~proto ~src ~dst b =
      match (proto, src, dst) with
      | 1, Ipaddr.V4 src, Ipaddr.V4 dst -> Icmp.input icmp ~src ~dst b
      | _ -> Lwt.return_unit
    in
    let ip = Ip.input ip ~tcp:(Tcp.input tcp) ~udp:(Udp.input udp) ~default in
    Netif.listen netif ~header_size:W.Ethernet.header_length
      (Eth.input eth ~arpv4:(Arpv4.input arp) ~ipv4:ip ~ipv6:ip)

  let connect netif eth arp ip icmp udp tcp =
    let listening =
      Lwt.map
        (function Ok () -> () | Error e -> Log.warn (fun m -> m "listen: %a" Netif.pp_error e))
        (receive netif eth arp ip icmp udp tcp)
    in
    Lwt.return { netif; eth; arp; ip; icmp; udp; tcp; listening }

  let disconnect t =
    let open Lwt.Infix in
    Tcp.disconnect t.tcp >>= fun () ->
    Udp.disconnect t.udp >>= fun () ->
    Icmp.disconnect t.icmp >>= fun () ->
    Ip.disconnect t.ip >>= fun () ->
    Arpv4.disconnect t.arp >>= fun () ->
    Eth.disconnect t.eth >>= fun () -> Netif.disconnect t.netif
end
