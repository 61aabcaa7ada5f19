(* Mirage's functor that assembles a stack from layers, for ours. *)

open Lwt.Infix
module Arp_core = Mirust_tcpip.Arp_core
module Ip_ext = Mirust_mirage_types.Ip_ext
module Ipv4_core = Mirust_tcpip.Ipv4_core
module Ipv6_core = Mirust_tcpip.Ipv6_core
module Tcpip = Mirust_mirage_types.Tcpip
module W = Mirust_wire

let src = Logs.Src.create "mirust.stack" ~doc:"TCP/IP stack"

module Log = (val Logs.src_log src : Logs.LOG)

(* Others provoke them. *)
let failures = Mirust_net_env.Thin.create ()

module type Ip = sig
  include Ip_ext.S with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t

  val families : t -> Ipv4_core.t * Ipv6_core.t
end

module IPV4V6 (V4 : Static_ipv4.S) (V6 : Ipv6.S) = struct
  include Mirust_tcpip.Tcpip_stack_direct.Dual (V4) (V6)

  (* A layer does not say what it is made of. There is one for each interface. *)
  let made : (t * (Ipv4_core.t * Ipv6_core.t)) list ref = ref []
  let families t = List.assq t !made

  let connect ~ipv4_only ~ipv6_only v4 v6 =
    connect ~ipv4_only ~ipv6_only v4 v6 >|= fun t ->
    made := (t, (v4, v6)) :: !made;
    t
end

module type Datagrams = sig
  include Tcpip.Udp.S with type ipaddr = Ipaddr.t

  val input_packet : t -> src:ipaddr -> dst:ipaddr -> tos:int -> W.Packet.t -> unit
  val on_unlistened : t -> (src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit) -> unit
end

module type Streams = sig
  include Tcpip.Tcp.S with type ipaddr = Ipaddr.t

  val compact : device:(Cstruct.buffer -> bool) -> t -> unit
  val link_changed : t -> unit
  val input_packet : t -> src:ipaddr -> dst:ipaddr -> tos:int -> W.Packet.t -> unit
end

module type Messages = sig
  include Mirust_mirage_types.Icmpv4.S

  val reject :
    t ->
    src:Ipaddr.V4.t ->
    dst:Ipaddr.V4.t ->
    proto:int ->
    W.Icmpv4.unreachable ->
    Cstruct.t ->
    unit
end

module MakeV4V6
    (N : Netif.S)
    (E : Ethernet.S)
    (A : Arp.S)
    (Ip : Ip)
    (Icmp : Messages)
    (U : Datagrams)
    (T : Streams) =
struct
  module UDP = U
  module TCP = T
  module IP = Ip

  type t = { net : Netif.t; arp : A.t; ip : Ip.t; icmp : Icmp.t; udp : U.t; tcp : T.t }

  let udp t = t.udp
  let tcp t = t.tcp
  let ip t = t.ip
  let listen t = Mirust_netif.Netif.disconnected t.net

  let other t ~proto ~src ~dst ~tos:_ (p : W.Packet.t) =
    match (proto, src, dst) with
    | 1, Ipaddr.V4 src, Ipaddr.V4 dst ->
        Lwt.dont_wait
          (fun () -> Icmp.input t.icmp ~src ~dst p.data)
          (fun e -> Mirust_net_env.Thin.warn failures (module Log) (fun () -> Printexc.to_string e))
    | _, Ipaddr.V4 src, Ipaddr.V4 dst -> Icmp.reject t.icmp ~src ~dst ~proto Protocol p.data
    | _, (Ipaddr.V4 _ | Ipaddr.V6 _), (Ipaddr.V4 _ | Ipaddr.V6 _) -> ()

  let packet t =
    Ip.input_packet t.ip ~tcp:(T.input_packet t.tcp) ~udp:(U.input_packet t.udp)
      ~default:(fun ~proto -> other t ~proto)

  let unlistened t v6 ~src ~dst datagram =
    match (src, dst) with
    | Ipaddr.V4 src, Ipaddr.V4 dst -> Icmp.reject t.icmp ~src ~dst ~proto:17 Port datagram
    | Ipaddr.V6 src, Ipaddr.V6 dst -> Ipv6_core.reject v6 ~src ~dst ~proto:17 Port datagram
    | (Ipaddr.V4 _ | Ipaddr.V6 _), (Ipaddr.V4 _ | Ipaddr.V6 _) -> ()

  let connect net _ arp ip icmp udp tcp =
    let t = { net; arp; ip; icmp; udp; tcp } in
    let v4, v6 = Ip.families ip in
    let with_v6 = List.memq v6 !Ipv6.started in
    let packet = packet t in
    Ipv4_core.set_loopback v4 (packet ~at:0);
    Ipv6_core.set_loopback v6 (packet ~at:0);
    U.on_unlistened udp (unlistened t v6);
    let dhcp = Dhcp_ipv4.client net in
    Option.iter
      (fun client ->
        U.listen udp ~port:W.Dhcpv4.client_port (fun ~src:_ ~dst:_ ~src_port:_ datagram ->
            Mirust_tcpip.Dhcp_client.input client datagram;
            Lwt.return_unit))
      dhcp;
    (Mirust_netif.Netif.device net).on_pressure (fun device -> T.compact ~device tcp);
    Mirust_netif.Netif.on_link net (fun () ->
        Arp_core.announce_again arp;
        T.link_changed tcp;
        Option.iter Mirust_tcpip.Dhcp_client.link_changed dhcp;
        if with_v6 then Ipv6_core.announce_again v6);
    let frame = Mirust_tcpip.Frames.receive ~mac:(Netif.mac net) ~arp ~v4 packet in
    Mirust_netif.Netif.listen_packets net (Mirust_net_env.Env.each frame);
    (* As Mirage's stack: when it is there, it has addresses. *)
    (if with_v6 then Ipv6_core.ready v6 Ipaddr.V6.link_nodes else Lwt.return_unit) >|= fun () ->
    Log.info (fun m -> m "%a" Fmt.(list ~sep:comma Ip.pp_prefix) (Ip.configured_ips ip));
    t

  let disconnect t =
    T.disconnect t.tcp >>= fun () ->
    U.disconnect t.udp >>= fun () ->
    Icmp.disconnect t.icmp >>= fun () ->
    Ip.disconnect t.ip >>= fun () ->
    Arp_core.disconnect t.arp >>= fun () -> Netif.disconnect t.net
end

module TCPV4V6 (S : Tcpip.Stack.V4V6) = struct
  include S.TCP

  let connect stack = Lwt.return (S.tcp stack)
end
