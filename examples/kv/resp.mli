(** Requests of the Redis protocol (RESP 2): arrays of bulk strings, and inline commands. *)

(** Requests on their way: bytes that have arrived, in any pieces. *)
type t

(** [max_string], if given, is the most bytes that one string of its requests may have. *)
val create : ?max_string:int -> unit -> t

(** The most bytes that one string of a request may have. *)
val max_string : int

(** What a request takes in memory once it is parsed, in bytes. *)
val cost : string list -> int

(** The most bytes that a request may have, about. *)
val max_request : int

(** Bytes that it takes in memory: what came of a request that is not whole. *)
val held : t -> int

(** Takes bytes in. *)
val feed : t -> Cstruct.t -> unit

(** The next whole request: its words, of which there may be none, and the first of which, the
    command, is in capital letters whatever the peer wrote. [`More] asks for more bytes, and after
    [`Malformed] there is nothing to be had from this peer. *)
val next : t -> [ `Request of string list | `More | `Malformed of string ]
