(** Views that keep alive a buffer that others need, or one that is much larger than they are. Most
    live for a turn and cost nothing to make; those that live longer are copied when memory is
    short. *)

(** Octets: views are copied together up to this many, and longer ones are believed to be a good
    part of what they are in (or to be pieces of a user's buffer, which is there anyway). *)
val worth : int

(** Whether a copy of the view is better kept than the view: it is one of a device's receive
    buffers, or short and in a much larger one. *)
val pins : device:(Cstruct.buffer -> bool) -> Cstruct.t -> bool

(** The same octets in memory of their own; the view itself if there is none. *)
val detached : Cstruct.t -> Cstruct.t

(** The same octets; what {!pins} was copied, neighbours together. *)
val compact : device:(Cstruct.buffer -> bool) -> Cstruct.t list -> Cstruct.t list
