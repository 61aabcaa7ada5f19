(** The wall clock, with the interface of [Mirage_ptime]. *)

val now : unit -> Ptime.t
(** The time of day, UTC. *)

val now_d_ps : unit -> int * int64
(** [(d, ps)]: days since the epoch 1970-01-01 00:00:00 UTC, and picoseconds of that day. *)

val current_tz_offset_s : unit -> int option
(** [Some 0]: a domain lives in UTC. *)

val period : unit -> Ptime.span option
(** The clock's period, if known. *)

val period_d_ps : unit -> (int * int64) option
(** As {!period}, in days and picoseconds. *)
