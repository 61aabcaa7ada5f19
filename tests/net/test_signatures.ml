(* Our module types are those of Mirage's packages (mirage-net 4, mirage-flow 5, ethernet 3, arp 4, tcpip 9), where
   these are not installed: written down here as the packages publish them, and compared in both directions by the type
   checker. So a functor over Mirage's type takes our module, and one over ours Mirage's. There is nothing to run. *)

open Mirust_mirage_types

type ('a, 'e) reply = ('a, 'e) result Lwt.t

module type NET = sig
  type error = private [> `Invalid_length | `Disconnected ]

  val pp_error : error Fmt.t

  type t

  val disconnect : t -> unit Lwt.t
  val write : t -> size:int -> (Cstruct.t -> int) -> (unit, error) reply
  val listen : t -> header_size:int -> (Cstruct.t -> unit Lwt.t) -> (unit, error) reply
  val mac : t -> Macaddr.t
  val mtu : t -> int
  val get_stats_counters : t -> Mirage_net.stats
  val reset_stats_counters : t -> unit
end

module type FLOW = sig
  type error

  val pp_error : error Fmt.t

  type write_error = private [> `Closed ]

  val pp_write_error : write_error Fmt.t

  type flow

  val read : flow -> ([ `Data of Cstruct.t | `Eof ], error) reply
  val write : flow -> Cstruct.t -> (unit, write_error) reply
  val writev : flow -> Cstruct.t list -> (unit, write_error) reply
  val shutdown : flow -> [ `read | `write | `read_write ] -> unit Lwt.t
  val close : flow -> unit Lwt.t
end

module type ETHERNET = sig
  type error = private [> `Exceeds_mtu ]

  val pp_error : error Fmt.t

  type t

  val disconnect : t -> unit Lwt.t

  val write :
    t ->
    ?src:Macaddr.t ->
    Macaddr.t ->
    [ `ARP | `IPv4 | `IPv6 ] ->
    ?size:int ->
    (Cstruct.t -> int) ->
    (unit, error) reply

  val mac : t -> Macaddr.t
  val mtu : t -> int

  val input :
    arpv4:(Cstruct.t -> unit Lwt.t) ->
    ipv4:(Cstruct.t -> unit Lwt.t) ->
    ipv6:(Cstruct.t -> unit Lwt.t) ->
    t ->
    Cstruct.t ->
    unit Lwt.t
end

module type ARP = sig
  type t

  val disconnect : t -> unit Lwt.t

  type error = private [> `Timeout ]

  val pp_error : error Fmt.t
  val pp : t Fmt.t
  val get_ips : t -> Ipaddr.V4.t list
  val set_ips : t -> Ipaddr.V4.t list -> unit Lwt.t
  val remove_ip : t -> Ipaddr.V4.t -> unit Lwt.t
  val add_ip : t -> Ipaddr.V4.t -> unit Lwt.t
  val query : t -> Ipaddr.V4.t -> (Macaddr.t, error) reply
  val input : t -> Cstruct.t -> unit Lwt.t
end

module type IP = sig
  type error = private [> `No_route of string | `Would_fragment ]

  val pp_error : error Fmt.t

  type ipaddr

  val pp_ipaddr : ipaddr Fmt.t

  type prefix

  val pp_prefix : prefix Fmt.t

  type t

  val disconnect : t -> unit Lwt.t

  type callback = src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t

  val input :
    t -> tcp:callback -> udp:callback -> default:(proto:int -> callback) -> Cstruct.t -> unit Lwt.t

  val write :
    t ->
    ?fragment:bool ->
    ?ttl:int ->
    ?src:ipaddr ->
    ipaddr ->
    [ `TCP | `UDP | `ICMP ] ->
    ?size:int ->
    (Cstruct.t -> int) ->
    Cstruct.t list ->
    (unit, error) reply

  val pseudoheader : t -> ?src:ipaddr -> ipaddr -> [ `TCP | `UDP | `ICMP ] -> int -> Cstruct.t
  val src : t -> dst:ipaddr -> ipaddr
  val get_ip : t -> ipaddr list [@@ocaml.deprecated "use configured_ips"]
  val configured_ips : t -> prefix list
  val mtu : t -> dst:ipaddr -> int
end

module type UDP = sig
  type error

  val pp_error : error Fmt.t

  type ipaddr
  type t

  val disconnect : t -> unit Lwt.t

  type callback = src:ipaddr -> dst:ipaddr -> src_port:int -> Cstruct.t -> unit Lwt.t

  val listen : t -> port:int -> callback -> unit
  val unlisten : t -> port:int -> unit
  val input : t -> src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t

  val write :
    ?src:ipaddr ->
    ?src_port:int ->
    ?ttl:int ->
    dst:ipaddr ->
    dst_port:int ->
    t ->
    Cstruct.t ->
    (unit, error) reply
end

module type TCP = sig
  type error = private [> `Timeout | `Refused ]
  type write_error = private [> `Timeout | `Refused | `Closed ]

  include FLOW with type error := error and type write_error := write_error

  type ipaddr
  type t

  val disconnect : t -> unit Lwt.t
  val dst : flow -> ipaddr * int
  val src : flow -> ipaddr * int
  val write_nodelay : flow -> Cstruct.t -> (unit, write_error) reply
  val writev_nodelay : flow -> Cstruct.t list -> (unit, write_error) reply

  val create_connection :
    ?keepalive:Tcpip.Tcp.Keepalive.t -> t -> ipaddr * int -> (flow, error) reply

  val listen : t -> port:int -> ?keepalive:Tcpip.Tcp.Keepalive.t -> (flow -> unit Lwt.t) -> unit
  val unlisten : t -> port:int -> unit
  val input : t -> src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t
end

module type STACK = sig
  type t

  val disconnect : t -> unit Lwt.t

  module UDP : UDP with type ipaddr = Ipaddr.t
  module TCP : TCP with type ipaddr = Ipaddr.t
  module IP : IP with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t

  val udp : t -> UDP.t
  val tcp : t -> TCP.t
  val ip : t -> IP.t
  val listen : t -> unit Lwt.t
end

module Is_mirage's
    (Net : Mirage_net.S)
    (Flow : Mirage_flow.S)
    (Ethernet : Ethernet.S)
    (Arp : Arp.S)
    (Ip : Tcpip.Ip.S)
    (Udp : Tcpip.Udp.S)
    (Tcp : Tcpip.Tcp.S)
    (Stack : Tcpip.Stack.V4V6) =
struct
  module _ : NET = Net
  module _ : FLOW = Flow
  module _ : ETHERNET = Ethernet
  module _ : ARP = Arp
  module _ : IP = Ip
  module _ : UDP = Udp
  module _ : TCP = Tcp
  module _ : STACK = Stack
end

module Is_ours
    (Net : NET)
    (Flow : FLOW)
    (Eth : ETHERNET)
    (A : ARP)
    (Ip : IP)
    (Udp : UDP)
    (Tcp : TCP)
    (Stack : STACK) =
struct
  module _ : Mirage_net.S = Net
  module _ : Mirage_flow.S = Flow
  module _ : Ethernet.S = Eth
  module _ : Arp.S = A
  module _ : Tcpip.Ip.S = Ip
  module _ : Tcpip.Udp.S = Udp
  module _ : Tcpip.Tcp.S = Tcp
  module _ : Tcpip.Stack.V4V6 = Stack
end

(* What an application is given. *)
module _ : NET = Mirust_netif.Netif
module _ : STACK = Mirust_stack.Stack.V4V6
module _ : TCP = Mirust_stack.Stack.TCP
