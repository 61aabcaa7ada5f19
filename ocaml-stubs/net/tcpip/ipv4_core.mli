(** IPv4 for a host: one interface, any number of addresses, routes, fragments both ways, path MTU.
*)

open Mirust_net_engine

include
  Mirust_mirage_types.Ip_ext.S with type ipaddr = Ipaddr.V4.t and type prefix = Ipaddr.V4.Prefix.t

(** How link addresses are found. *)
type resolver = {
  query : Ipaddr.V4.t -> (Macaddr.t, Outgoing.unresolved) result Lwt.t;
  hop : Ipaddr.V4.t -> unit -> Macaddr.t option;  (** as {!Arp_core.hop} *)
  confirm_hop : Ipaddr.V4.t -> unit;
}

val resolver_of_arp : Arp_core.t -> resolver

(** Without an address, only the limited broadcast can be reached, and everything received is
    accepted, as a DHCP client needs. [ttl]: of packets sent, default 64. [own]: see
    {!Outgoing.create}. *)
val create : ?reassembly:Reassembly.config -> ?own:int -> ?ttl:int -> Link.t -> resolver -> t

(** {1 Configuration}

    Takes effect on existing paths at once. *)

val routes : t -> Routes.t

(** The caller is responsible for ARP for the addresses. *)
val set_routes : t -> Routes.t -> unit

(** Whether an address is being requested elsewhere, so that waiting for a route is worthwhile. *)
val set_acquiring : t -> bool -> unit

(** Where packets to our own addresses are delivered, as they would be to [input_packet]; a turn of
    the Lwt loop later. Without it there is no route to them. *)
val set_loopback : t -> (Mirust_wire.Packet.t -> unit) -> unit

(** Sends no packets above this many bytes, header included, even if the link could (DHCP option
    26). *)
val set_mtu : t -> int option -> unit

(** As {!write}, for a router: [src] may be another host's address, unless the packet is for
    ourselves, for many or for all. *)
val forward :
  t ->
  ?fragment:bool ->
  ?ttl:int ->
  ?src:ipaddr ->
  ipaddr ->
  Mirust_mirage_types.Tcpip.Ip.proto ->
  ?size:int ->
  (Cstruct.t -> int) ->
  Cstruct.t list ->
  (unit, error) result Lwt.t

val counters : t -> Outgoing.counters
