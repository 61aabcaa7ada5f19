(** All connections by their addresses and ports: a hash table with a secret, so that nobody can
    choose ports and addresses that collide. *)

type t

(** Addresses and ports of a connection, from our side. *)
type key = { local : Ipaddr.t; local_port : int; remote : Ipaddr.t; remote_port : int }

(** [random n]: this many random octets, for the secret. *)
val create : random:(int -> string) -> t

(** What a connection's [hash] must be. *)
val hash : t -> key -> int

val find :
  t -> local:Ipaddr.t -> local_port:int -> remote:Ipaddr.t -> remote_port:int -> Tcb.t option

(** Its key must not be in the table yet. *)
val add : t -> Tcb.t -> unit

(** False if it was not in the table. *)
val remove : t -> Tcb.t -> bool

val length : t -> int

(** The function may add and remove connections. *)
val iter : t -> (Tcb.t -> unit) -> unit

(** As {!iter}. A connection for which memory runs out is lost, and the others have their turn
    before the exception goes on. *)
val each : t -> Tcb.env -> (Tcb.t -> unit) -> unit

(** {1 With those that rest in TIME-WAIT} *)

(** As {!find}. One that rests is revived from its record. *)
val find_or_revive :
  t ->
  Tcb.env ->
  local:Ipaddr.t ->
  local_port:int ->
  remote:Ipaddr.t ->
  remote_port:int ->
  Tcb.t option

val is_taken :
  t -> Tcb.env -> local:Ipaddr.t -> local_port:int -> remote:Ipaddr.t -> remote_port:int -> bool
