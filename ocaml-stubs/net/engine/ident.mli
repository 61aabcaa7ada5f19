(** Identifications of packets in pieces that nobody can foresee, and that tell nobody how many
    packets go to others (RFC 7739 section 5.3; RFC 6864): a counter for each of a number of groups
    of destinations, which one a secret decides, and from an offset of the destination's own. *)

type t

(** [random n]: [n] random octets. *)
val create : random:(int -> string) -> t

(** The next for packets between the addresses, given as octets: the low 16 or 32 bits are to be
    used. *)
val next : t -> src:string -> dst:string -> int
