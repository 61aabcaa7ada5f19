(** Decisions that come from bytes, so that a fuzzer that changes a byte changes one step of a
    story. *)

type t

val create : string -> t

(** [int t n] is from 0 to [n - 1], from as few bytes as can tell them all; [n] is not 0. When there
    are no more bytes it is 0. *)
val int : t -> int -> int

(** The same for what tries again until it likes the number: of large ones, and when there are no
    more bytes, it gives those of a generator. *)
val random : t -> int -> int

(** Bytes that are left. *)
val left : t -> int

(** The next bytes, as many as there are up to a number. *)
val take : t -> int -> string
