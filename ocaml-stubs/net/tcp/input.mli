(** A segment arrives for a connection (RFC 9293 section 3.10.7). *)

(** [segment env c header payload ~ce]: [ce] says that the IP header carried the mark "congestion
    experienced". The payload is kept as it is, not copied. *)
val segment : Tcb.env -> Tcb.t -> Mirust_wire.Tcp.t -> Cstruct.t -> ce:bool -> unit

(** The handshake is complete; [header] is the segment that completed it. *)
val established : Tcb.env -> Tcb.t -> Mirust_wire.Tcp.t -> unit

(** [early env c ~seq payload]: what came with the SYN, to be delivered when the handshake is
    complete. *)
val early : Tcb.env -> Tcb.t -> seq:Seq.t -> Cstruct.t -> unit

(** Takes over what the peer's SYN offers and our configuration allows. *)
val adopt_options : Tcb.env -> Tcb.t -> Mirust_wire.Tcp.options -> unit
