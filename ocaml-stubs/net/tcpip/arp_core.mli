(** Performs the actions of {!Mirust_net_engine.Arp_engine}: frames, timers, promises. *)

include Mirust_mirage_types.Arp.S

val create : ?config:Mirust_net_engine.Neighbour.config -> Link.t -> t

(** Makes this the only address at once, and asks the link meanwhile whether it is in use:
    {!on_conflict}. *)
val claim_ip : t -> Ipaddr.V4.t -> unit

(** Adds a function that is told when another station uses one of our addresses. *)
val on_conflict : t -> (Ipaddr.V4.t -> Macaddr.t -> unit) -> unit

(** {1 Without promises} *)

(** Announces our addresses again, after the link was down. *)
val announce_again : t -> unit

(** As [query], but distinguishes between no answer and too many packets waiting for it. *)
val resolve : t -> Ipaddr.V4.t -> (Macaddr.t, [ `Timeout | `Overflow ]) result Lwt.t

(** [hop t ip] is a function that returns the neighbour's link address as long as it is known
    without asking; keep it for as long as packets go there. *)
val hop : t -> Ipaddr.V4.t -> unit -> Macaddr.t option

val confirm : t -> Ipaddr.V4.t -> unit
val input_packet : t -> Cstruct.t -> unit
