(** The time and the random numbers of the network stack.

    Engines are given the time with every call. The layers that keep timers, and those that choose
    ports and identifiers, ask here. The run loop installs the real sources at start-up; tests
    install [Mirust_net_mock.Mock]. *)

type t = {
  now : unit -> int;  (** ns since boot, never going back *)
  sleep : int -> unit Lwt.t;  (** resolves after so many ns *)
  random : int -> string;  (** so many bytes, unpredictable to others *)
}

(** Replaces the sources for the whole image. *)
val install : t -> unit

(** Replaces {!soon}, which by default is made of [Lwt.pause]: a loop may have something that costs
    less. *)
val install_soon : ((unit -> unit) -> unit) -> unit

(** [soon f] has [f ()] called in the next turn of the loop, when all that is ready now has run. *)
val soon : (unit -> unit) -> unit

(** {1 Use} All of these raise [Failure] before {!install}. *)

val now : unit -> int

(** What {!now} gave last, by whomever it was asked: without a look at the clock, for what is asked
    for each packet of a turn and is about seconds. Whoever sends outside of a turn asks {!now}
    before. *)
val recent : unit -> int

(** In ns. *)
val sleep : int -> unit Lwt.t

val random : int -> string

(** [random_int n] is between 0 and [n - 1], evenly spread. [n] is at most 2{^ 30}. *)
val random_int : int -> int

(** Milliseconds in ns. *)
val ms : int -> int

(** Seconds in ns. *)
val sec : int -> int
