(** What an acknowledgement says about loss, and what follows from it.

    SACK scoreboard (RFC 2018, 6675), RACK and tail loss probes (RFC 8985), proportional rate
    reduction (RFC 9937), NewReno for peers without SACK (RFC 6582), undo of needless reductions
    (Eifel, RFC 3522 and 4015; by DSACK, RFC 3708; F-RTO, RFC 5682). *)

(** An acceptable acknowledgement. Frees what it covers, updates the peer's window, the round-trip
    time and the congestion window, and finds losses. One that is older than [snd_una] says
    something by its blocks only (RFC 6675 section 5). [payload]: octets of data in the segment. *)
val acked : Tcb.env -> Tcb.t -> Mirust_wire.Tcp.t -> payload:int -> unit

(** The retransmission timer ran out (RFC 6298 section 5.4 to 5.7). *)
val timeout : Tcb.env -> Tcb.t -> unit

(** The tail loss probe timer ran out (RFC 8985 section 7.3). *)
val probe : Tcb.env -> Tcb.t -> unit

(** RACK's reordering window ran out. *)
val reorder_timeout : Tcb.env -> Tcb.t -> unit

(** The peer echoed a congestion mark (RFC 3168 section 6.1.2). *)
val congestion_echo : Tcb.t -> unit

(** The path carries fewer octets than we thought: segments are cut smaller, and those that were too
    big are sent again at once. *)
val path_mss : Tcb.env -> Tcb.t -> int -> unit

(** Recomputes [mss] from the peer's, the path's and the options in use. *)
val set_mss : Tcb.t -> unit

(** Octets that the user may write now: what is left of the send buffer, none when all connections
    together hold too much. *)
val send_space : Tcb.env -> Tcb.t -> int

(** Tells a writer that waits for room when there is some. *)
val wake_writer : Tcb.env -> Tcb.t -> unit
