(** The IPv4 routing table of a host: its own addresses and prefixes, and gateways. *)

type t

val empty : t

(** An own address and the prefix that is on the link. *)
val add_address : Ipaddr.V4.Prefix.t -> t -> t

(** Also forgets the routes whose gateway is no longer on the link. *)
val remove_address : Ipaddr.V4.t -> t -> t

(** Replaces a route for the same prefix. [0.0.0.0/0] is the default route. *)
val add_route : Ipaddr.V4.Prefix.t -> gateway:Ipaddr.V4.t -> t -> t

(** Whether a host can have this address, with this prefix on its link; or why not. *)
val check_host : Ipaddr.V4.Prefix.t -> (unit, string) result

(** Whether a host with this address can have this gateway; or why not. *)
val check_gateway : Ipaddr.V4.Prefix.t -> Ipaddr.V4.t -> (unit, string) result

(** In the order they were added. *)
val addresses : t -> Ipaddr.V4.Prefix.t list

type next_hop =
  | Link of Ipaddr.V4.t  (** to this address on the link: the destination or a gateway *)
  | Broadcast
  | Multicast
  | Local  (** the destination is an own address, or one of 127.0.0.0/8: never on a wire *)

type error =
  | No_address
  | No_gateway
  | No_such_source
  | Not_a_destination  (** 0.0.0.0/8 and 240.0.0.0/4 *)

val pp_error : error Fmt.t

(** Source address and next hop, by the longest prefix. [src] has to be an own address, to the
    loopback network also one of that. The broadcast address is reachable even without an address of
    one's own, from [0.0.0.0], which [src] may be for it alone. *)
val lookup : ?src:Ipaddr.V4.t -> t -> Ipaddr.V4.t -> (Ipaddr.V4.t * next_hop, error) result

(** An own address, or one of the loopback network. *)
val is_local : t -> Ipaddr.V4.t -> bool

(** 127.0.0.0/8. *)
val is_loopback : Ipaddr.V4.t -> bool

(** The limited broadcast, a prefix's broadcast, or a multicast group. *)
val is_group : t -> Ipaddr.V4.t -> bool

(** Whether a packet from the link with this destination is for us: an own address, or a group; or
    anything that a host can have, while there is no address (DHCP, RFC 2131 section 4.1). *)
val is_for_us : t -> Ipaddr.V4.t -> bool

(** Whether no packet from the link can truly have this source: loopback, 0.0.0.0/8, 240.0.0.0/4,
    groups, and our own addresses. *)
val is_martian : t -> Ipaddr.V4.t -> bool
