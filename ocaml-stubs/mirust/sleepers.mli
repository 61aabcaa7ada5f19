(** The sleepers of {!Time}, earliest first: a binary heap in which equal times keep their order. *)

type t

val create : unit -> t

(** Takes logarithmic time. *)
val add : t -> Time.t -> unit

(** The time of the earliest sleeper that was not cancelled. *)
val next : t -> int64 option

(** The earliest sleeper whose time is [now] or earlier, cancelled ones aside. *)
val first_due : t -> now:int64 -> Time.t option

(** Removes that one; nothing was added meanwhile. *)
val drop_first : t -> unit

(** How many there are, including cancelled ones that were not yet swept. Cancelling cannot make the
    heap grow without bound: more than half of it are live sleepers, or it is small. *)
val length : t -> int
