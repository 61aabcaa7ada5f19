(** What a connection sends, and when.

    [run] is the only place that decides to send data; it looks at the state as it finds it, so it
    may be called at any time. *)

(** Sends what the windows allow: first what was lost, then new data, then an acknowledgement if one
    is due and did not ride on data. *)
val run : Tcb.env -> Tcb.t -> unit

(** An acknowledgement without data, now. *)
val ack : Tcb.env -> Tcb.t -> unit

(** The first SYN, or SYN-ACK in SYN-RECEIVED. *)
val syn : Tcb.env -> Tcb.t -> unit

(** The reader has taken this many octets. The receive buffer grows with what is read in a round
    trip (dynamic right-sizing, Fisk and Feng 2001): what arrives for a slow reader would only fill
    memory. *)
val tune_receive_buffer : Tcb.env -> Tcb.t -> int -> unit

(** A RST that the peer accepts. *)
val reset : Tcb.env -> Tcb.t -> unit

(** [refuse env ~local ~remote header ~length ()] answers a segment of [length] octets of payload
    that belongs to no connection by a RST, unless it is one, and within a limit. [options]: those
    of the connection that the segment lies about. *)
val refuse :
  Tcb.env ->
  ?options:Mirust_wire.Tcp.options ->
  local:Ipaddr.t ->
  remote:Ipaddr.t ->
  Mirust_wire.Tcp.t ->
  length:int ->
  unit ->
  unit

(** The options of every segment of the connection: timestamps, where they were negotiated. *)
val plain_options : Tcb.env -> Tcb.t -> Mirust_wire.Tcp.options

(** Sends the piece again, at most one segment of it. *)
val resend : Tcb.env -> Tcb.t -> Flight.piece -> unit

(** Sends one segment of new data although the congestion window or Nagle's rule would hold it back,
    if the peer's window has room: for probes. False if there is nothing to send. *)
val force : Tcb.env -> Tcb.t -> bool

(** A segment that the peer must answer although it has no room (RFC 9293 section 3.8.6.1): its
    sequence number is the last that was acknowledged. Also the keepalive probe. *)
val window_probe : Tcb.env -> Tcb.t -> unit

(** Octets that may be sent in the peer's window. *)
val peer_window : Tcb.t -> int

(** Octets that may be received, whatever was advertised. *)
val room : Tcb.env -> Tcb.t -> int

(** Octets that the peer may still send by our last word. *)
val advertised : Tcb.t -> int

(** Reading made so much room that the peer should hear of it (RFC 9293 section 3.8.6.2.2). *)
val window_update_due : Tcb.t -> bool

(** Sets the retransmission timer to a timeout at this time. *)
val arm_timeout : Tcb.env -> Tcb.t -> int -> unit

(** Sets the retransmission timer to a tail loss probe, or to the timeout. The timeout begins anew
    only with [restart], for the first segment in flight and for what makes progress: what is merely
    sent after it must not put it off (RFC 6298 section 5.1). *)
val arm_rexmit : Tcb.env -> Tcb.t -> restart:bool -> unit
