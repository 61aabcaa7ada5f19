(** Messages on a TCP connection: each after its length, in two bytes (RFC 1035 section 4.2.2). *)

(** Bytes that have arrived, in any pieces. *)
type t

val create : unit -> t

(** Takes bytes in. *)
val feed : t -> Cstruct.t -> unit

(** The next whole message. *)
val next : t -> Cstruct.t option

(** What to send for a message: the length, and the message. *)
val frame : Cstruct.t -> Cstruct.t list
