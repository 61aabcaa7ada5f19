(** Octets that the user has written and that were not sent yet. *)

type t

val create : unit -> t
val octets : t -> int

(** Takes the view over; its octets must not change from now on. Small ones are copied together, so
    that what is held stays in proportion to what was written. *)
val push : t -> Cstruct.t -> unit

(** The next [n] octets, [n <= octets t], as views. *)
val take : t -> int -> Cstruct.t list

val clear : t -> unit
