(** Sleeping, with the interface of [Mirage_sleep]; [sleep_ns] is an alias with Mirage's older name.
*)

(** A sleeper: it wakes [thread] at [time] (nanoseconds since boot) unless it was [canceled]. *)
type t = { time : int64; mutable canceled : bool; thread : unit Lwt.u }

(** [ns d] is resolved [d] nanoseconds from now, never earlier; how much later depends on what else
    the two languages have to do. A [d] of zero or less is resolved in the loop's next turn.

    [Lwt.cancel] on the promise removes the timer. *)
val ns : int64 -> unit Lwt.t

(** [sleep_ns] is {!ns}. *)
val sleep_ns : int64 -> unit Lwt.t

(** [with_timeout d f] is the result of [f ()], or [Error `Timeout] if that takes longer than [d]
    nanoseconds; [f ()] is then cancelled. *)
val with_timeout : int64 -> (unit -> 'a Lwt.t) -> ('a, [> `Timeout ]) result Lwt.t

(** The sleepers created since the last call, for the loop that wakes them ({!Main}). *)
val new_sleepers : unit -> t list

(** [delegate sleep] makes {!ns} call [sleep], for a program whose loop is not {!Main}'s and would
    not wake our sleepers. *)
val delegate : (int64 -> unit Lwt.t) -> unit
