(** Replies of the Redis protocol (RESP 2), appended to a buffer. They are what a request waits for,
    so no format is interpreted for them. *)

(** One word, like [OK]. *)
val simple : Buffer.t -> string -> unit

(** An error, which begins with its kind, like [ERR]. *)
val failure : Buffer.t -> string -> unit

(** [failure], of the kind [ERR]. *)
val error : Buffer.t -> string -> unit

val integer : Buffer.t -> int -> unit
val integer64 : Buffer.t -> int64 -> unit

(** Any bytes, or that there are none. *)
val bulk : Buffer.t -> string option -> unit

(** What announces so many replies as the elements of one. *)
val array : Buffer.t -> int -> unit
