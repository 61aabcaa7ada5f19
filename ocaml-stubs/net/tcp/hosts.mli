(** How many connections each host has in its hands, and each network of hosts: those that were
    accepted from it and have not gone. Of IPv6 a host is a network of 64 bits, all of which one may
    have. The networks have 24 bits in IPv4 and 48 in IPv6: as many as one is usually given. What is
    remembered is bounded by the most connections that there were at a time, and strangers cannot
    choose hosts that fall together in the table. *)

open Block

type t

(** [secret]: random; of 62 bits. *)
val create : secret:int -> t

(** One connection more of this address, that has this place and is counted in no other. If memory
    runs out nothing is counted. *)
val add : t -> place -> Ipaddr.t -> unit

(** The connection goes. Nothing happens if it was not counted. *)
val remove : t -> place -> unit

(** How many connections the address's host has. *)
val count : t -> Ipaddr.t -> int

(** How many the address's network has. *)
val count_of_network : t -> Ipaddr.t -> int

(** How many there are of all hosts. *)
val total : t -> int

(** The host that has the most, as far as is known; {!no_host} if there was never any. It is known
    of those that grow, and of those that {!saw} tells. *)
val most : t -> host

(** The network that has the most, as far as is known, and so in its field [most] the host that has
    the most there. *)
val most_of_networks : t -> host

(** One that was met: {!most} may have shrunk below it meanwhile. *)
val saw : t -> host -> unit
