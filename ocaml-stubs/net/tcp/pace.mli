(** Pacing: new data leaves spread over the round trip, rather than in trains as long as the window,
    for which a short queue on the way has no room.

    The rate is two windows per round trip in slow start, which doubles it, and 1.2 windows after.
    An initial window's worth may always go at once: neither a short answer nor a small window is
    held up. Retransmissions are not paced: they go as others arrive. *)

open Tcb

(** How many octets may go now of [n] that the windows allow: all, or some full segments, or none.
    The connection has its turn when the others may. *)
val allows : env -> Tcb.t -> int -> int

(** This many octets of new data go. *)
val sent : env -> Tcb.t -> int -> unit

(** The user or the windows have no more. *)
val nothing_to_send : Tcb.t -> unit
