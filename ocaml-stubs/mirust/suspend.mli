(** Hooks for before the domain is suspended, and after it resumes.

    [xl save] and [xl migrate] freeze the domain, and make a new one from its memory. To the
    program, only the wall clock jumps: connections survive, timers have as long to run as before,
    disks have lost nothing. But a program may have to act because its peers were not frozen:
    release what it holds on another host, reseed a generator of its own, check whether it still has
    a lease.

    In a Linux process these hooks are never called. *)

(** [away] is how long the domain was away, in nanoseconds, by the wall clock. If [cancelled], the
    domain simply continues: the attempt was abandoned, or the toolstack has only taken a copy.
    Otherwise this is a new domain, perhaps on another host, and perhaps one of several made from
    the same copy. *)
type resumed = { away : int64; cancelled : bool }

(** [on_suspend f] makes the domain await [f ()] each time before it is suspended; the last one
    registered runs first. An [Error] or an exception prevents the suspension: the domain keeps
    running, the reason is logged, and the toolstack gives up after its timeout of a minute. The
    same happens if all hooks together take longer than 20 s. *)
val on_suspend : (unit -> (unit, string) result Lwt.t) -> unit

(** [on_resume f] makes the domain await [f resumed] each time it resumes, also if it was not frozen
    after all; the first one registered runs first. An exception is logged. The link of a network
    device may not be up again yet. *)
val on_resume : (resumed -> unit Lwt.t) -> unit
