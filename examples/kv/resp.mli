(** Requests of the Redis protocol (RESP 2): arrays of bulk strings, and inline commands. *)

(** Requests on their way: bytes that have arrived, in any pieces. *)
type t

(** [most], if given, is the most bytes of memory that one of its requests may take. *)
val create : ?most:int -> unit -> t

(** The most bytes that one string of a request may have. *)
val max_string : int

(** What these words take in memory, in bytes. *)
val cost : string list -> int

(** The most bytes that a request may have, about. *)
val max_request : int

(** Bytes that it takes in memory: what came of a request that is not whole. *)
val held : t -> int

(** The same, and at least half of a buffer of more than 8 KiB: within a pipeline of large requests
    it is kept for the next one. *)
val kept : t -> int

(** Gives up the part of the buffer that is empty. *)
val fit : t -> unit

(** Takes bytes in. *)
val feed : t -> Cstruct.t -> unit

(** Goes on to the next whole request: what is told of the one before it, below, holds no longer.
    [`More] asks for more bytes, and after [`Malformed] there is nothing to be had from this peer;
    nor after [`Too_large], which is found when the length is known, not when all has come. *)
val next : t -> [ `Request | `More | `Malformed of string | `Too_large ]

(** {1 The request that [next] has found}

    Its words stay where they arrived until somebody asks for a copy. *)

(** How many words it has; there may be none. *)
val count : t -> int

(** Its first word as a number, if it has three or four bytes; else 0. *)
val command : t -> int

(** The number that {!command} gives for a command of this many letters, in capital letters here,
    and in any there. *)
val letters : string -> int

(** Where its words are: in these bytes, the [i]th one from [position t i] on. They are not to be
    changed, and are the next request's from the next {!feed} or {!next} on. *)
val bytes : t -> Bytes.t

val position : t -> int -> int
val length : t -> int -> int

(** A copy of a word. *)
val word : t -> int -> string

(** Copies of all of them, the first in capital letters. *)
val words : t -> string list

(** What the copies would take in memory, about, in bytes. *)
val whole_cost : t -> int
