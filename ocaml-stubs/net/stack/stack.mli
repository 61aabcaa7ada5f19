(** A complete stack: Ethernet, ARP, IPv4, IPv6, ICMP, UDP and TCP on one device.

    {[
      let serve flow = ...

      let start config device =
        Stack.connect config device >>= fun stack ->
        Stack.TCP.listen (Stack.tcp stack) ~port:80 serve;
        Stack.listen stack
    ]}

    {!V4V6} is a [Tcpip.Stack.V4V6], so that code written for Mirage's stacks runs on it. *)

open Mirust_mirage_types
open Mirust_tcpip

type ipv4 = {
  cidr : Ipaddr.V4.Prefix.t;  (** our address and the prefix on the link *)
  gateway : Ipaddr.V4.t option;
}

type config = {
  ipv4 : [ `Off | `Static of ipv4 | `Dhcp ];
  ipv6 : [ `Off | `On ];  (** [`On]: at least a link-local address *)
  ipv6_addresses : Ipaddr.V6.Prefix.t list;
  ipv6_gateway : Ipaddr.V6.t option;
  accept_router_advertisements : bool;
  ipv6_identifiers : [ `Modified_eui64 | `Stable of string | `Private ];
      (** how the second half of IPv6 addresses that are not configured is formed: see
          {!Mirust_net_engine.Ndp_engine.type-identifiers}. [`Private]: from a secret chosen now, so
          that the addresses of one boot cannot be linked to those of another *)
}

(** No IPv4; IPv6 by router advertisements, with identifiers made from the MAC address. (In an image
    they are private ones: see {!Args}.) *)
val default : config

(** Whether a stack can work with these addresses, or why not. Refused are network, broadcast,
    multicast, unspecified and loopback addresses, a prefix of length 0, and the stack's own address
    as the gateway. *)
val check : config -> (unit, string) result

(** Bounds on everything that peers can fill. In an image these are shares of its memory:
    {!Mirust.Budget}. *)
type limits = {
  tcp : Mirust_tcp.Engine.config;
  neighbours : Mirust_net_engine.Neighbour.config;  (** for each version of IP *)
  reassembly : Mirust_net_engine.Reassembly.config;  (** for each version of IP *)
  own : int;  (** bytes in transit from the stack to itself, for each version of IP *)
}

(** For tests, where memory does not matter: the defaults of the layers, and 4 MiB. *)
val default_limits : limits

module IP : module type of Tcpip_stack_direct.Dual (Ipv4_core) (Ipv6_core)
module UDP : module type of Udp.Make (IP)
module TCP : module type of Mirust_tcp_flow.Tcp.Flow.Make (IP)
module ICMP : module type of Icmpv4.Make (Ipv4_core)

type t

(** Takes over the device, starts receiving, and is resolved as soon as there is an address: a
    static IPv4 address at once, one by DHCP when a server has assigned it, and without IPv4 the
    link-local IPv6 address. (IPv6 addresses are in use while duplicates of them are looked for.)
    There is no time limit; while waiting, it logs that now and then.

    @raise Invalid_argument if {!check} refuses the configuration. *)
val connect : ?limits:limits -> config -> Mirust_netif.Device.t -> t Lwt.t

(** As {!connect}, without waiting for an address: connections that are opened earlier wait for one.
*)
val attach : ?limits:limits -> config -> Mirust_netif.Device.t -> t Lwt.t

(** Resolved when there is an address to send from: with IPv4 the IPv4 address, whatever the state
    of IPv6; without IPv4 the link-local IPv6 address. *)
val ready : t -> unit Lwt.t

(** Resolved when every family that is not off has an address to send from (IPv6: its link-local
    address, or none if other stations have all that were tried). *)
val settled : t -> unit Lwt.t

(** Name servers, from DHCP and from router advertisements. *)
val dns : t -> Ipaddr.t list

(** Aborts all connections and releases the device. *)
val disconnect : t -> unit Lwt.t

(** Resolved when the device is gone. *)
val listen : t -> unit Lwt.t

(** {1 Its parts} *)

(** Where to listen for datagrams, and to send them. *)
val udp : t -> UDP.t

(** Where to listen for connections, and to open them. *)
val tcp : t -> TCP.t

(** Its addresses, and its routes. *)
val ip : t -> IP.t

(** {2 Below these} *)

val netif : t -> Mirust_netif.Netif.t
val arp : t -> Arp_core.t
val ipv4 : t -> Ipv4_core.t
val ipv6 : t -> Ipv6_core.t
val icmp : t -> ICMP.t

(** [None] unless IPv4 is by DHCP. *)
val dhcp : t -> Dhcp_client.t option

(** Replaces the IPv4 address and the default route, and announces the address. *)
val set_ipv4 : t -> ipv4 -> unit Lwt.t

(** Gives up the IPv4 address and the routes. *)
val clear_ipv4 : t -> unit Lwt.t

(** The form that Mirage's functors take. *)
module V4V6 :
  Tcpip.Stack.V4V6 with type t = t and module UDP = UDP and module TCP = TCP and module IP = IP

(** Resolves names to addresses, by sockets that are open only to the server. *)
module Dns : Dns_client.S with type stack = t
