(** Places for those who are served at a time, when there are fewer than could come.

    Whoever turns newcomers away when all places are taken leaves the service to those who came
    first and do nothing. Here a newcomer is always served: the one with whom patience has been
    tried most makes room. There is little of it with somebody who is in the middle of something,
    and otherwise the more, the more often something was done for him. *)

type t

(** One of those who are served. *)
type place

(** For so many at a time, one at least. *)
val create : int -> t

(** [take t ~leave]: a place; to make room for another one [leave ()] may be called, once, and must
    end what the place is for. *)
val take : t -> leave:(unit -> unit) -> place

(** Something has come from him or was taken by him. *)
val moved : place -> unit

(** He is in the middle of something (a request, taking an answer) from now on, or no longer. *)
val set_busy : place -> bool -> unit

(** Something was done for him from beginning to end: he may be idle for longer. *)
val served : place -> unit

(** He has gone. Twice is once. *)
val give : t -> place -> unit

(** How many there are. *)
val taken : t -> int
