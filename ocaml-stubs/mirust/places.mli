(** A limited number of places for clients that are served at the same time.

    A server that turns new clients away when all places are taken leaves the service to those that
    came first and do nothing. Here a new client is always served: the client that has most
    exhausted its patience makes room. The more requests a client has made, the longer it may be
    idle, up to a tenth of a second and ten times as long as it has been there; and for a hundredth
    of that time, or for as much of it as there is up to a second, it may be in the middle of
    something. *)

type t

(** One client's place. *)
type place

(** [create n] is for [n] clients at a time, at least one. *)
val create : int -> t

(** [of_memory most] is for [most budget] clients at a time, also when the budget changes
    ({!Budget.follow}). *)
val of_memory : (Budget.t -> int) -> t

(** Changes the number of places. If there are fewer than clients, the surplus leaves when the next
    client comes. *)
val set_most : t -> int -> unit

(** If there are fewer places than clients, the surplus leaves now. *)
val shed : t -> unit

(** [take t ~leave] is a place. To make room for another client, [leave ()] may be called, once; it
    must end this one's connection. *)
val take : t -> leave:(unit -> unit) -> place

(** The client has sent or received something. *)
val moved : place -> unit

(** Whether the client is in the middle of something (sending a request, receiving an answer). *)
val set_busy : place -> bool -> unit

(** A request was served completely: the client may be idle for longer. *)
val served : place -> unit

(** The client has gone. Idempotent. *)
val give : t -> place -> unit

(** How many places are taken. *)
val taken : t -> int
