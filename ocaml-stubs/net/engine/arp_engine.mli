(** ARP for one interface: own addresses, answers, probes and announcements, conflicts (RFC 826, RFC
    5227), and the neighbour cache. *)

type 'packet t

type 'packet action =
  | Send of { destination : Macaddr.t; packet : Mirust_wire.Arp.t }
  | Transmit of { packet : 'packet; mac : Macaddr.t }  (** the address it waited for is known *)
  | Unreachable of { target : Ipaddr.V4.t; packets : 'packet list }
  | Overflow of 'packet
  | Ready of Ipaddr.V4.t  (** probing found no other user: the address may be used *)
  | Conflict of { address : Ipaddr.V4.t; mac : Macaddr.t; lost : bool }
      (** another station uses the address. [lost]: it was still being probed and has been given up;
          else it is defended and kept *)

val create : ?config:Neighbour.config -> Macaddr.t -> 'packet t

(** {1 Own addresses} *)

(** Those that are answered for. *)
val addresses : 'packet t -> Ipaddr.V4.t list

(** Announces the address and answers for it. With [probe] (a random number of ns to wait first, at
    most 1 s) the link is asked first, for about 6 s, and [Ready] or [Conflict] follow. *)
val add : 'packet t -> now:int -> ?probe:int -> Ipaddr.V4.t -> 'packet action list

(** Announces the address and answers for it, and asks the link all the same: [Conflict] follows,
    with [lost = false], if somebody has it already. It is not defended for {!answered_within}. *)
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
