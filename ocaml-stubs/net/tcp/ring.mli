(** A queue in an array, for elements that are queued and taken out many times in each turn: it
    allocates nothing, and leaves less work to the collector than a [Queue].

    The array grows with the number of elements, and is given back when there have been few of them
    for a while. *)

type 'a t

(** An empty queue. The argument fills the places that hold no element. *)
val create : 'a -> 'a t

val length : 'a t -> int
val is_empty : 'a t -> bool

(** Adds an element at the end. Where there is no memory for it, [Out_of_memory] is raised and
    nothing has changed. *)
val push : 'a t -> 'a -> unit

(** The first element; there must be one. *)
val first : 'a t -> 'a

(** Takes the first element out; there must be one. Never fails for want of memory. *)
val pop : 'a t -> 'a
