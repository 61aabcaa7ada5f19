(** One timer that follows an engine's next deadline. *)

type t

(** The function is called when the deadline has come; it usually feeds the engine and calls {!set}
    again. *)
val create : (unit -> unit) -> t

(** [set t (Some at)] arms the timer for the time [at] (ns), replacing any other; [None] disarms it.
*)
val set : t -> int option -> unit

(** {!set}, where [max_int] disarms. *)
val set_at : t -> int -> unit

(** Disarms for good. *)
val stop : t -> unit
