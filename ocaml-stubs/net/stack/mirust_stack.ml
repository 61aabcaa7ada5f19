(** A TCP/IP stack for Mirust.

    Most programs need {!Stack} and {!Args} only. The other modules are the layers under the names
    that Mirage's functors have, so that with [open Mirust_stack] code written for Mirage's stack
    compiles against this one. *)

module Stack = Stack
module Args = Args

(** Names to addresses, over any stack. *)
module Dns_client = Mirust_tcpip.Dns_client

(** {1 Mirage's names} *)

module Mirage_net = Mirust_mirage_types.Mirage_net
module Mirage_flow = Mirust_mirage_types.Mirage_flow
module Tcpip = Mirust_mirage_types.Tcpip
module Ethernet = Mirust_tcpip.Ethernet
module Arp = Mirust_tcpip.Arp
module Static_ipv4 = Mirust_tcpip.Static_ipv4
module Ipv6 = Mirust_tcpip.Ipv6
module Icmpv4 = Mirust_tcpip.Icmpv4
module Udp = Mirust_tcpip.Udp
module Tcpip_stack_direct = Mirust_tcpip.Tcpip_stack_direct
module Netif = Mirust_netif.Netif

(** TCP over any IP layer. *)
module Tcp = struct
  module Flow = struct
    module Make = Mirust_tcp_flow.Tcp.Flow.Make_plain
  end

  module Keepalive = Tcpip.Tcp.Keepalive
end
