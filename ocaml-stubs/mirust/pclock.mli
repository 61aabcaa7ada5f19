(** The wall clock, with the interface of [Mirage_ptime]. *)

(** The time of day, UTC. *)
val now : unit -> Ptime.t

(** [(d, ps)]: days since the epoch 1970-01-01 00:00:00 UTC, and picoseconds of that day. *)
val now_d_ps : unit -> int * int64

(** [Some 0]: a domain's time zone is UTC. *)
val current_tz_offset_s : unit -> int option

(** The clock's period, if known. *)
val period : unit -> Ptime.span option

(** As {!period}, in days and picoseconds. *)
val period_d_ps : unit -> (int * int64) option
