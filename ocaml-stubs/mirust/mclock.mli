(** The monotonic clock, with the interface of [Mirage_mtime]. *)

val elapsed_ns : unit -> int64
(** Nanoseconds since boot (on Unix: since the process started). Never goes back. *)

val period_ns : unit -> int64 option
(** The clock's period in nanoseconds, if known. *)
