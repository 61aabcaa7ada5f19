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
    nanoseconds; [f ()] is then cancelled, and abandoned if it cannot be cancelled. A promise that
    is already resolved takes no timer, and timers are reused. *)
val with_timeout : int64 -> (unit -> 'a Lwt.t) -> ('a, [> `Timeout ]) result Lwt.t

(** A movable time limit, such as a connection's: how long its peer may be silent, and then how long
    it may take to send a request. Moving a deadline further away only stores a number: no timer is
    created and cancelled for each request. *)
module Deadline : sig
  type t

  (** [create passed] is a deadline that is not set. The loop calls [passed ()] each time the
      deadline was {!set} and has passed; exceptions of [passed] go to [Lwt.async_exception_hook].
  *)
  val create : (unit -> unit) -> t

  (** [set t d] makes [t] pass [d] nanoseconds from now, and replaces what was set before. *)
  val set : t -> int64 -> unit

  (** [clear t] makes [t] never pass until it is set again, and releases its timer, which otherwise
      keeps [t] and [passed] reachable. Call it when whatever was limited is over. *)
  val clear : t -> unit
end

(** [take_new_sleepers f] calls [f] with each sleeper created since the last call, for the loop that
    wakes them ({!Main}), the oldest first. An exception of [f] leaves that one and those after it
    for the next call. *)
val take_new_sleepers : (t -> unit) -> unit

(** The same sleepers as a list, the newest first, for another loop. *)
val new_sleepers : unit -> t list

(** [delegate sleep] makes {!ns} call [sleep], for a program whose loop is not {!Main}'s and would
    not wake our sleepers. *)
val delegate : (int64 -> unit Lwt.t) -> unit
