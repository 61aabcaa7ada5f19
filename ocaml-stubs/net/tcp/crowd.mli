(** All connections, and who gives way when there are too many of them, or when they hold too much
    data (docs/memory.md). *)

type t

(** [secret]: random; of 62 bits. *)
val create : Tcb.env -> Table.t -> secret:int -> t

(** How many there are, in any state, including TIME-WAIT. *)
val count : t -> int

(** The connection gets a place among the others, and is in the table from now on. *)
val enter : t -> Tcb.t -> unit

(** It was accepted, and counts for its host from now on. *)
val accept : t -> Tcb.t -> unit

(** Its place is free. Nothing here allocates. *)
val leave : t -> Tcb.t -> unit

(** {1 Too many connections} *)

(** Room is made at the expense of a connection for which no byte was received or acknowledged for
    longer than this, in ns: three seconds while data is buffered that its peer or reader does not
    take; otherwise one second, plus one more each time that the amount of data it has moved in its
    life has doubled. If that is so for none of those looked at, a newcomer whose handshake is
    complete takes the place of one of the network that has the most, if that is more than the
    newcomer's would have then; else of a host that has more than an eighth of all that were
    accepted, and more than the newcomer's. *)
val patience : holds:bool -> moved:int -> int

(** Makes room for one more connection if necessary; whether there is any. [newcomer] is the host
    that wants a place, if its address has been verified. *)
val has_room : ?newcomer:Ipaddr.t -> t -> bool

(** There may be fewer connections than before: surplus ones go, as far as patience with them is
    exhausted. *)
val shrink : t -> unit

(** {1 Too much data} *)

(** To be called when a connection cannot go on because others hold the memory ([env.short]): of
    those that are stuck, one gives way, if that helps. *)
val relieve : t -> unit
