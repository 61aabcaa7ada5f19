(** The monotonic clock, with the interface of [Mirage_mtime]. *)

(** Nanoseconds since boot (on Unix: since the process started). Never goes back. *)
val elapsed_ns : unit -> int64

(** The clock's period in nanoseconds, if known. *)
val period_ns : unit -> int64 option
