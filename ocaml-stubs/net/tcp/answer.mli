(** Answers to segments that change nothing.

    Anyone who knows the addresses and ports of a connection can forge such segments. Each kind of
    answer is limited for each connection, so that answers are neither a flood nor, with the other
    end's answers to them, a storm that keeps itself going. *)

(** {1 Answers to what an honest peer may send again} *)

(** Acknowledges octets or a FIN that were there already, or octets that the window had no room for,
    or a probe: up to 500 a second. *)
val repeat : Tcb.env -> Tcb.t -> unit

(** {1 Answers to what a peer sends only after a crash}

    All of these share one limit: two a second at first, then fewer and fewer, down to one in 64
    seconds, until the connection makes progress. Only answers to such answers keep a storm going:
    every round of it has one of them, and so it dies down. *)

(** Acknowledges a segment without data from outside the window. *)
val odd : Tcb.env -> Tcb.t -> unit

(** Acknowledges what would end or spoil the connection, if it were true (RFC 5961): all connections
    together send a number of these a second that nobody can guess. *)
val challenge : Tcb.env -> Tcb.t -> unit

(** The SYN-ACK again, for a SYN that was repeated. *)
val syn_again : Tcb.env -> Tcb.t -> unit

(** The connection made progress. *)
val progress : Tcb.t -> unit
