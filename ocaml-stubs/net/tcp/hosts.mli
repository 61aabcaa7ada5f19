(** How many connections each host and each network of hosts has: those that were accepted from it
    and are not gone. For IPv6, a host is a /64 network, as one host may use all of it. The networks
    are /24 in IPv4 and /48 in IPv6, the usual size of what one customer is given. The table is
    bounded by the largest number of connections that there were at one time, and strangers cannot
    choose hosts that collide in it. *)

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

(** The host that has the most, as far as is known; [no_host] if there was never any. It is known of
    those that grow, and of those that {!saw} tells. *)
val most : t -> host

(** The network that has the most, as far as is known, and so in its field [most] the host that has
    the most there. *)
val most_of_networks : t -> host

(** One that was met: {!most} may have shrunk below it meanwhile. *)
val saw : t -> host -> unit
