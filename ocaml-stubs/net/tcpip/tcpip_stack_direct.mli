(** Putting the layers together, in the form Mirage applications are written for. *)

open Mirust_mirage_types

(** The destination in the header of an IP packet at byte [at], of which nothing has been checked
    yet. *)
val destination : Cstruct.t -> at:int -> Ipaddr.t option

(** 127.0.0.0/8 and ::1. *)
val is_loopback : Ipaddr.t -> bool

module IPV4V6
    (Ipv4 : Tcpip.Ip.S with type ipaddr = Ipaddr.V4.t and type prefix = Ipaddr.V4.Prefix.t)
    (Ipv6 : Tcpip.Ip.S with type ipaddr = Ipaddr.V6.t and type prefix = Ipaddr.V6.Prefix.t) : sig
  include Tcpip.Ip.S with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t

  val connect : ipv4_only:bool -> ipv6_only:bool -> Ipv4.t -> Ipv6.t -> t Lwt.t
end

(** The same with the faster interface of our own layers. *)
module Dual
    (Ipv4 : Ip_ext.S with type ipaddr = Ipaddr.V4.t and type prefix = Ipaddr.V4.Prefix.t)
    (Ipv6 : Ip_ext.S with type ipaddr = Ipaddr.V6.t and type prefix = Ipaddr.V6.Prefix.t) : sig
  include Ip_ext.S with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t

  val connect : ipv4_only:bool -> ipv6_only:bool -> Ipv4.t -> Ipv6.t -> t Lwt.t
end

module MakeV4V6
    (Netif : Mirage_net.S)
    (Eth : Ethernet.S)
    (Arpv4 : Arp.S)
    (Ip : Tcpip.Ip.S with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t)
    (Icmp : Icmpv4.S)
    (Udp : Tcpip.Udp.S with type ipaddr = Ipaddr.t)
    (Tcp : Tcpip.Tcp.S with type ipaddr = Ipaddr.t) : sig
  include Tcpip.Stack.V4V6 with module IP = Ip and module TCP = Tcp and module UDP = Udp

  (** Also starts listening; [listen] waits for its end. *)
  val connect : Netif.t -> Eth.t -> Arpv4.t -> Ip.t -> Icmp.t -> Udp.t -> Tcp.t -> t Lwt.t
end
