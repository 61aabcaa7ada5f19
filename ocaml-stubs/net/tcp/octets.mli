(** A queue of octets, as views: what the user has written and was not sent yet, and what has
    arrived in order and was not read yet.

    Views are kept as they are, except that small ones that have to wait behind others are copied
    together: a view keeps its whole buffer alive, and the memory that is held should stay in
    proportion to the octets that are counted. *)

type t

(** [create ~small]: views below this many octets, at most 2048, are copied if they are not the
    first. *)
val create : small:int -> t

val octets : t -> int

(** How many separate views hold them, at most. *)
val views : t -> int

val is_empty : t -> bool

(** Takes the view over; its octets must not change from now on. *)
val push : t -> Cstruct.t -> unit

(** The first view, or its first [most] octets; [most > 0]. *)
val pop : t -> most:int -> Cstruct.t option

(** The next [n] octets, [n <= octets t], as views. *)
val take : t -> int -> Cstruct.t list

(** Copies what {!Pinned.pins} to memory of its own, neighbours together. *)
val compact : device:(Cstruct.buffer -> bool) -> t -> unit

val clear : t -> unit
