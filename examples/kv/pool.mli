(** Memory that all connections share, in bytes: what they want to hold they take first. *)

type t

val create : int -> t

(** How much there is, taken or not. *)
val size : t -> int

(** False if there is not so much. *)
val try_take : t -> int -> bool

(** Waits until there is. *)
val take : t -> int -> unit Lwt.t

val give : t -> int -> unit

(** [resize t size]: there are this many from now on. What is held above that is waited for. *)
val resize : t -> int -> unit

(** Resolves when something is given back. *)
val changed : t -> unit Lwt.t
