(** The time and the random numbers of the network stack.

    Engines are passed the time with every call. Layers that keep timers, or choose ports and
    identifiers, get them here. The run loop installs the real sources at start-up; tests install
    [Mirust_net_mock.Mock]. *)

type t = {
  now : unit -> int;  (** ns since boot, never going back *)
  sleep : int -> unit Lwt.t;  (** resolved after this many ns *)
  random : int -> string;  (** this many bytes, unpredictable for others *)
}

(** Replaces the sources for the whole image. *)
val install : t -> unit

(** Replaces {!soon}, which by default uses [Lwt.pause], by something cheaper, if the loop has that.
*)
val install_soon : ((unit -> unit) -> unit) -> unit

(** [soon f] calls [f ()] in the next turn of the loop, after everything that is ready now. *)
val soon : (unit -> unit) -> unit

(** Replaces {!at_interlude}, which by default does nothing. *)
val install_interlude : ((unit -> unit) -> unit -> unit) -> unit

(** [at_interlude f] makes the loop call [f ()] in turns in which many users act, after the first
    few of them, if it supports that: so what those have to send can leave before the others have
    had their turn. The result removes [f]; call it in the end, or the loop keeps [f] for ever. *)
val at_interlude : (unit -> unit) -> unit -> unit

(** Replaces {!forget}, which by default does nothing. *)
val install_forget : (unit -> unit) -> unit

(** Has the next {!val-now} read the clock, if the loop sets the time once a turn: for after a
    user's code. *)
val forget : unit -> unit

(** Replaces {!attempt}, which by default only calls [f]. *)
val install_attempt : ((unit -> unit) -> bool) -> unit

(** [attempt f] is [true] after [f ()], and [false] if that raised [Out_of_memory], which the loop
    has then counted. *)
val attempt : (unit -> unit) -> bool

(** As [List.iter], but where memory runs out for one, the others have their turn before the
    exception goes on: for things that have nothing to do with each other, and that nobody will
    bring again. *)
val each : ('a -> unit) -> 'a list -> unit

(** [each_then f list finish] is [each f list], and [finish ()] also if that raises. *)
val each_then : ('a -> unit) -> 'a list -> (unit -> unit) -> unit

(** {1 Use}

    All of these raise [Failure] before {!install}. *)

val now : unit -> int

(** The last result of {!val-now} for any caller, without reading the clock: for decisions that are
    made for each packet and need a resolution of seconds. Code that sends outside a turn must call
    {!val-now} first. *)
val recent : unit -> int

(** In ns. *)
val sleep : int -> unit Lwt.t

(** This many bytes, unpredictable for others. *)
val random : int -> string

(** [random_int n] is between 0 and [n - 1], evenly spread. [n] is at most 2{^ 30}. *)
val random_int : int -> int

(** Milliseconds in ns. *)
val ms : int -> int

(** Seconds in ns. *)
val sec : int -> int
