(** A timer wheel shared by all connections.

    Hierarchical: five levels of 32 slots, each slot of a level as wide as the whole level below, a
    tick of 2{^ 20} ns (about a millisecond). Adding, removing and firing a timer cost the same
    whatever the number of timers. A timer never fires early; it fires up to one tick late. *)

(** A wheel of timers that carry an ['a]. *)
type 'a t

(** One timer, in at most one wheel, pending or not. *)
type 'a timer

(** An empty wheel. [now], here and below: nanoseconds on a clock that does not go back. *)
val create : now:int -> 'a t

(** A timer for this wheel, not pending. *)
val timer : 'a t -> 'a -> 'a timer

val pending : 'a timer -> bool

(** When a pending timer wants to fire, in ns. *)
val due : 'a timer -> int

(** [add t timer due] makes [timer] pending for the time [due]; if it was pending already it moves.
    A [due] more than about nine hours ahead fires after nine hours. *)
val add : 'a t -> 'a timer -> int -> unit

(** Nothing happens if the timer is not pending. *)
val remove : 'a t -> 'a timer -> unit

(** No timer fires before this time, in ns; [max_int] when none is pending. It may be earlier than
    the first timer, by at most the width of the slot that holds it. *)
val next : 'a t -> int

(** [advance t ~now f] calls [f] for every timer that is due, in the order of ticks. They are not
    pending any more when [f] runs, and [f] may add and remove timers; those due at once fire in a
    later [advance]. *)
val advance : 'a t -> now:int -> ('a -> unit) -> unit

(** The number of pending timers. *)
val length : 'a t -> int
