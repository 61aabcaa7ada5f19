(** ARP for one interface: own addresses, answers and announcements, conflicts (RFC 826, RFC 5227),
    and the neighbour cache. *)

type 'packet t

type 'packet action =
  | Send of { destination : Macaddr.t; packet : Mirust_wire.Arp.t }
  | Transmit of { packet : 'packet; mac : Macaddr.t }  (** the address it waited for is known *)
  | Unreachable of { target : Ipaddr.V4.t; packets : 'packet list }
  | Overflow of 'packet
  | Conflict of { address : Ipaddr.V4.t; mac : Macaddr.t }
      (** another station uses the address, which is kept *)

val create : ?config:Neighbour.config -> Macaddr.t -> 'packet t

(** {1 Own addresses} *)

(** Those that are answered for. *)
val addresses : 'packet t -> Ipaddr.V4.t list

(** Announces the address, answers for it and defends it. *)
val add : 'packet t -> now:int -> Ipaddr.V4.t -> 'packet action list

(** As {!add}, and asks the link all the same: [Conflict] follows if somebody has the address
    already. It is not defended for {!answered_within}. *)
val claim : 'packet t -> now:int -> Ipaddr.V4.t -> 'packet action list

(** How many ns after {!claim} a station that has the address already will have objected. *)
val answered_within : int

val remove : 'packet t -> Ipaddr.V4.t -> unit

(** Announces all of them: the link has come back, perhaps at another port of the switch, which has
    to learn where we are (RFC 5227 section 3). *)
val announce_again : 'packet t -> now:int -> 'packet action list

(** {1 Neighbours} *)

val neighbours : 'packet t -> (Ipaddr.V4.t, 'packet) Neighbour.t
val send : 'packet t -> now:int -> Ipaddr.V4.t -> 'packet -> 'packet action list
val input : 'packet t -> now:int -> Mirust_wire.Arp.t -> 'packet action list
val next : 'packet t -> int option
val tick : 'packet t -> now:int -> 'packet action list
