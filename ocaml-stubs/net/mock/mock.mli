(** A clock that stands still until told otherwise, and reproducible random numbers. *)

type t

(** A fresh mock at time 0, installed as {!Mirust_net_env.Env}. *)
val install : ?seed:int -> unit -> t

(** The time on the clock, in ns. *)
val now : t -> int

(** As {!Mirust_net_env.Env.val-sleep} after {!install}, for an environment around this one. *)
val sleep : t -> int -> unit Lwt.t

(** Runs until the promise resolves, jumping from one timer to the next as soon as nothing else is
    left to do. Fails if nothing is left to wait for, or when the clock would pass [limit] ns
    (default: one day after the current time). *)
val run : ?limit:int -> t -> 'a Lwt.t -> 'a

(** Lets this many ns pass, running what becomes due. *)
val advance : t -> int -> unit

(** Runs everything that can run without time passing. *)
val settle : t -> unit
