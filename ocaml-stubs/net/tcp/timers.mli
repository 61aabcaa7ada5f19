(** What happens when nothing arrives. *)

(** The wheel's timer of this connection ran out: does what is due and sets the timer anew. *)
val fire : Tcb.env -> Tcb.t -> unit
