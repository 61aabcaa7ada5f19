(** Sequence numbers: integers modulo 2{^ 32} (RFC 9293 section 3.4).

    A value is an [int] from 0 to 2{^ 32}-1. Comparison is meaningful for numbers less than 2{^ 31}
    apart. *)

type t = int

(** [add a n] is [n] octets after [a]; [n] may be negative. *)
val add : t -> int -> t

(** [diff a b] is the signed distance from [b] to [a]: positive when [a] is later. *)
val diff : t -> t -> int

val lt : t -> t -> bool
val leq : t -> t -> bool
val gt : t -> t -> bool
val geq : t -> t -> bool

(** The earlier of the two. *)
val min : t -> t -> t

(** The later of the two. *)
val max : t -> t -> t

(** [between s ~low ~high] is [low <= s < high]. *)
val between : t -> low:t -> high:t -> bool
