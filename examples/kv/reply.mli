(** Replies of the Redis protocol (RESP 2), appended to a buffer that is sent as it is. They are
    what a request waits for, so no format is interpreted for them. *)

(** Replies that were not taken yet. *)
type t

val create : unit -> t

(** Their bytes. *)
val length : t -> int

(** Takes all of them, to be sent: nothing changes the bytes of the view any more. *)
val take : t -> Cstruct.t

(** {1 What is appended}

    All of these raise [Out_of_memory] if there is none for it. *)

(** [simple b "OK"]. *)
val ok : t -> unit

(** One word, like [PONG]. *)
val simple : t -> string -> unit

(** An error, which begins with its kind, like [ERR]. *)
val failure : t -> string -> unit

(** [failure], of the kind [ERR]. *)
val error : t -> string -> unit

(** A client's word as an error may repeat it: within one line, and no more than its beginning. *)
val shown : string -> string

val integer : t -> int -> unit
val integer64 : t -> int64 -> unit

(** Any bytes, or that there are none. *)
val bulk : t -> string option -> unit

(** What announces this many replies as the elements of one. *)
val array : t -> int -> unit

(** {1 By others}

    What is written to [buffer] from [stop] on is a part of the replies after [set_stop]. *)

(** [reserve b n]: there is room for [n] more bytes. The buffer may be another one then. *)
val reserve : t -> int -> unit

val buffer : t -> Cstruct.buffer
val stop : t -> int
val set_stop : t -> int -> unit
