(** IPv6 neighbour discovery for a host with one interface: own addresses and their duplicate
    detection, routers, prefixes and autoconfiguration, neighbours (RFC 4861, RFC 4862), and the
    listener reports that let switches pass our groups (RFC 3810).

    Redirects are counted and otherwise ignored: a host may (RFC 4861 section 8.3), and they are the
    easiest way to divert traffic. Times are in ns. *)

open Mirust_wire

type 'packet t

(** How addresses that are not configured are formed: the link-local address, and those from
    autoconfiguration. If another station has a [Stable] one, it is replaced by the next. *)
type identifiers = Interface_id.t = Modified_eui64 | Stable of string

type config = {
  handle_ra : bool;  (** use router advertisements, and ask for them *)
  dad_transmits : int;  (** solicitations for each address; 0: none *)
  optimistic : bool;
      (** addresses are used while duplicate detection is in progress (RFC 4429), and not only
          afterwards. The RFC advises against this for manually configured addresses; here, those
          come from the administrator of a fleet of domains, and are given up as soon as another
          station claims them *)
  link_mtu : int;
  neighbours : Neighbour.config;
  identifiers : identifiers;
}

(** With [handle_ra], one solicitation, not optimistic, an MTU of 1500, [Modified_eui64]. *)
val default : config

type 'packet action =
  | Send of {
      src : Ipaddr.V6.t;
      dst : Ipaddr.V6.t;
      mac : Macaddr.t option;  (** [None]: to be found like that of any packet *)
      message : Icmpv6.t;
    }  (** with a hop limit of 255; a listener report with 1 and the router alert option *)
  | Transmit of { packet : 'packet; mac : Macaddr.t }
  | Unreachable of { target : Ipaddr.V6.t; packets : 'packet list }
  | Overflow of 'packet
  | Ready of Ipaddr.V6.t  (** the address can be used *)
  | Duplicate of Ipaddr.V6.t
      (** another station has it. Another identifier follows in a second if one is to be tried; else
          the same address again in a minute *)
  | Expired of Ipaddr.V6.t

(** Whether a host can have this address, with this prefix on its link; or why not. *)
val check_host : Ipaddr.V6.Prefix.t -> (unit, string) result

(** Whether a host with these addresses can have this gateway; or why not. *)
val check_router : Ipaddr.V6.Prefix.t list -> Ipaddr.V6.t -> (unit, string) result

val create : config -> Macaddr.t -> 'packet t

(** Takes the link-local address, and asks for routers. *)
val start : 'packet t -> now:int -> 'packet action list

(** {1 Configuration by hand} *)

(** An address and the prefix that is on the link. *)
val add_address : 'packet t -> now:int -> Ipaddr.V6.Prefix.t -> 'packet action list

val remove_address : 'packet t -> Ipaddr.V6.t -> unit

(** Advertises all of our addresses, reports their groups and asks for routers: the link has come
    back, perhaps somewhere else (RFC 4861 section 7.2.6). *)
val announce_again : 'packet t -> now:int -> 'packet action list

(** A default router, without a limit of time. *)
val add_router : 'packet t -> Ipaddr.V6.t -> unit

(** {1 Output} *)

(** Usable ones: not given up, and not tentative unless that is optimistic. *)
val addresses : 'packet t -> Ipaddr.V6.Prefix.t list

(** Changes whenever an earlier answer of {!val-next_hop} or {!source} may have become wrong. *)
val generation : 'packet t -> int

(** The source address for a destination: RFC 6724 section 5, rules 1, 2, 3 and 8. *)
val source : 'packet t -> now:int -> Ipaddr.V6.t -> Ipaddr.V6.t option

type next_hop = Link of Ipaddr.V6.t | Multicast of Macaddr.t | Local | No_route

val next_hop : 'packet t -> now:int -> Ipaddr.V6.t -> next_hop

(** An own address that can be used, or ::1. *)
val is_local : 'packet t -> Ipaddr.V6.t -> bool

(** Whether no packet from the link can truly have this source: groups, ::1, our own addresses, and
    IPv4 addresses in IPv6's notation. *)
val is_martian : 'packet t -> Ipaddr.V6.t -> bool

(** An own address (tentative ones included, for duplicate detection alone: see {!is_local}) or a
    group we are in. *)
val is_for_us : 'packet t -> Ipaddr.V6.t -> bool

(** Whether the address or the router that is missing for a packet there may be found in a moment.
*)
val acquiring : 'packet t -> Ipaddr.V6.t -> bool

(** Of the link, as advertised. *)
val mtu : 'packet t -> int

(** As advertised, but at least 64. *)
val hop_limit : 'packet t -> int

val dns : 'packet t -> now:int -> Ipaddr.V6.t list
val neighbours : 'packet t -> (Ipaddr.V6.t, 'packet) Neighbour.t
val send : 'packet t -> now:int -> Ipaddr.V6.t -> 'packet -> 'packet action list

(** {1 Input and time} *)

(** Neighbour discovery messages and listener queries; others do nothing, and so do those that did
    not come from the link. *)
val input :
  'packet t ->
  now:int ->
  src:Ipaddr.V6.t ->
  dst:Ipaddr.V6.t ->
  hop_limit:int ->
  Icmpv6.t ->
  'packet action list

val next : 'packet t -> int option
val tick : 'packet t -> now:int -> 'packet action list
val solicited_node : Ipaddr.V6.t -> Ipaddr.V6.t

(** By the modified EUI-64. *)
val link_local : Macaddr.t -> Ipaddr.V6.t
