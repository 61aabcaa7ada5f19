(** IPv6 for a host: one interface, addresses with duplicate detection and autoconfiguration,
    neighbour discovery, ICMPv6, fragments both ways, path MTU. *)

open Mirust_net_engine

include
  Mirust_mirage_types.Ip_ext.S with type ipaddr = Ipaddr.V6.t and type prefix = Ipaddr.V6.Prefix.t

(** Silent until {!start}. The link's MTU replaces the one in [config]. *)
val create : ?reassembly:Reassembly.config -> ?own:int -> ?config:Ndp_engine.config -> Link.t -> t

(** Takes the link-local address, and asks for routers if router advertisements are to be used. *)
val start : t -> unit

(** As [Arp_core.announce_again]. *)
val announce_again : t -> unit

(** Usable after duplicate detection, which takes a second. *)
val add_address : t -> Ipaddr.V6.Prefix.t -> unit

val add_router : t -> Ipaddr.V6.t -> unit

(** Adds a function that is notified of changes of our own addresses. *)
val on_address :
  t ->
  ([ `Ready of Ipaddr.V6.t | `Duplicate of Ipaddr.V6.t | `Expired of Ipaddr.V6.t ] -> unit) ->
  unit

(** Resolved when a packet could be sent to that address, with a source address and a route. *)
val ready : t -> Ipaddr.V6.t -> unit Lwt.t

(** Name servers from router advertisements (RFC 8106). *)
val dns : t -> Ipaddr.V6.t list

(** As [Ipv4_core.set_loopback]. *)
val set_loopback : t -> (Mirust_wire.Packet.t -> unit) -> unit

(** Sends one echo request; the round-trip time in ns, or [`Timeout] after [timeout] ns (default 1
    s). *)
val ping :
  t ->
  ?timeout:int ->
  ?payload:Cstruct.t ->
  Ipaddr.V6.t ->
  (int, [ `Timeout | `No_route ]) result Lwt.t

(** As [Icmpv4.Make.reject]. *)
val reject :
  t ->
  src:Ipaddr.V6.t ->
  dst:Ipaddr.V6.t ->
  proto:int ->
  Mirust_wire.Icmpv6.unreachable ->
  Cstruct.t ->
  unit

(** Answers a packet for which there is no protocol (RFC 8200 section 4). The header that is quoted
    has no extension headers, and its next header is [proto]. *)
val reject_protocol : t -> src:Ipaddr.V6.t -> dst:Ipaddr.V6.t -> proto:int -> Cstruct.t -> unit

val counters : t -> Outgoing.counters
