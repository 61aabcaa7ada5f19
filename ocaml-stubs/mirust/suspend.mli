(** Before the domain is suspended, and when it goes on.

    [xl save] and [xl migrate] freeze the domain, and make another one of its memory. To the program
    it is a moment in which the wall clock steps: connections live on, timers have as far to go as
    before, disks have lost nothing. What a program may have to do is about others who were not
    frozen: let go of what it holds at another host, seed a generator of its own again, look whether
    a lease is still its own.

    In a Linux process none of these is ever called. *)

(** [away] is how long the domain was away, in nanoseconds, by the wall clock. If [cancelled], the
    domain goes on where it was: the attempt was given up, or the toolstack has only taken a copy.
    Otherwise this is a new domain, perhaps on another host, and perhaps one of several that were
    made of one copy. *)
type resumed = { away : int64; cancelled : bool }

(** [on_suspend f] has [f ()] awaited each time before the domain is suspended, the one that was
    registered last first. An [Error], or an exception, refuses: the domain goes on, the reason is
    logged, and the toolstack gives up after its timeout, which is a minute. So it does if all hooks
    together take longer than 20 s. *)
val on_suspend : (unit -> (unit, string) result Lwt.t) -> unit

(** [on_resume f] has [f resumed] awaited each time when the domain goes on, also if it was not
    frozen in the end, the one that was registered first first. An exception is logged. The link of
    a network device is perhaps not up again yet. *)
val on_resume : (resumed -> unit Lwt.t) -> unit
