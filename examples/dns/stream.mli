(** Messages on a TCP connection: each after its length, in two bytes (RFC 1035 section 4.2.2). *)

(** Bytes that have arrived, in any pieces. *)
type t

val create : unit -> t

(** The longest message that is taken, in bytes: a question is one name and a few options. A
    connection holds no more than this. *)
val longest : int

(** Takes bytes in, best when {!next} has nothing more of those of before. They are looked at where
    they are, and what is left of them is copied when {!next} has come to their end. *)
val feed : t -> Cstruct.t -> unit

(** The next whole message; [`Too_long] if what comes is longer than {!longest}, and there is
    nothing more to be had from this peer. *)
val next : t -> [ `Message of Cstruct.t | `More | `Too_long ]

(** What to send for a message: the length, and the message. *)
val frame : Cstruct.t -> Cstruct.t list
