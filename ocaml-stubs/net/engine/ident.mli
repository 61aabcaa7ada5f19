(** Identifications for fragmented packets: unpredictable, and without revealing how many packets go
    to other destinations (RFC 7739 section 5.3; RFC 6864). There is one counter for each group of
    destinations; a secret hash chooses the group, and an offset for each destination. *)

type t

(** [random n]: [n] random octets. *)
val create : random:(int -> string) -> t

(** The next for packets between the addresses, given as octets: the low 16 or 32 bits are to be
    used. *)
val next : t -> src:string -> dst:string -> int
