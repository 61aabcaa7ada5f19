(** The IPv4 routing table of a host: its own addresses and prefixes, and gateways. *)

type t

val empty : t

(** An own address and the prefix that is on the link. *)
val add_address : Ipaddr.V4.Prefix.t -> t -> t

(** Also forgets the routes whose gateway is no longer on the link. *)
val remove_address : Ipaddr.V4.t -> t -> t

(** Replaces a route for the same prefix. [0.0.0.0/0] is the default route. *)
val add_route : Ipaddr.V4.Prefix.t -> gateway:Ipaddr.V4.t -> t -> t

(** In the order they were added. *)
val addresses : t -> Ipaddr.V4.Prefix.t list

type next_hop =
  | Link of Ipaddr.V4.t  (** to this address on the link: the destination or a gateway *)
  | Broadcast
  | Multicast
  | Local  (** the destination is an own address *)

type error = No_address | No_gateway | Not_a_destination

val pp_error : error Fmt.t

(** Source address and next hop, by the longest prefix. With [src] that address is kept as it is.
    The broadcast address is reachable even without an address of one's own, from [0.0.0.0]. *)
val lookup : ?src:Ipaddr.V4.t -> t -> Ipaddr.V4.t -> (Ipaddr.V4.t * next_hop, error) result

val is_local : t -> Ipaddr.V4.t -> bool

(** An own address, the limited broadcast, a prefix's broadcast, or a multicast group; or anything,
    while there is no address (DHCP, RFC 2131 section 4.1). *)
val is_for_us : t -> Ipaddr.V4.t -> bool
