(** Transmission control blocks: the state of connections ({!Block}), and what the modules that
    change it share. *)

include module type of struct
  include Block
end

val pp_state : state Fmt.t
val pp_reason : reason Fmt.t
val ending : reason -> ending

(** Of integers, and so without a call. *)
val min : int -> int -> int

val max : int -> int -> int

(** In ns. *)
val ms : int

val second : int

(** Undos of a rate reduction within a window. *)
val max_undos : int

(** The least time between two answers to what no honest peer sends. *)
val odd_wait_min : int

(** The largest segment for a peer that announces none (RFC 9293 section 3.7.1). *)
val default_mss : Ipaddr.t -> int

(** Received views below this length are copied rather than held for long. *)
val small_view : int

(** The shift with which a window of this size can be told (RFC 7323 section 2.3). *)
val wscale_for : int -> int

(** A connection that has sent and received nothing. It is not in the table. *)
val make :
  env ->
  state:state ->
  iss:Seq.t ->
  ts_offset:int ->
  path_mss:int ->
  hash:int ->
  local:Ipaddr.t ->
  local_port:int ->
  remote:Ipaddr.t ->
  remote_port:int ->
  t

(** Stands for no connection. *)
val no_connection : t

(** {1 Memory} *)

(** The connection, and all of them together, hold this many octets more. *)
val hold : env -> t -> int -> unit

(** They hold too much. *)
val under_pressure : env -> bool

(** What is charged for what waits for the reader, and for what came ahead of a gap. *)
val received_cost : t -> int

val ahead_cost : t -> int

(** Releases what the connection holds for receiving. *)
val drop_receiving : env -> t -> unit

(** {1 Turns and timers} *)

(** Queues the connection for the end of the turn. *)
val touch : env -> t -> unit

(** The device had no room: the connection has its turn when there is. *)
val block : env -> t -> unit

(** The earliest of its deadlines. *)
val earliest : t -> int

(** To be called after a deadline was set. The wheel's timer may be early, never late: deadlines
    that only move away cost nothing here, and [Timers.fire] puts it right. *)
val arm : env -> t -> unit

(** When it ends for want of progress: [max_int] during a handshake, which has [wait_at]. *)
val gives_up_at : t -> int

(** {1 Figures} *)

(** Octets believed to be in the network. *)
val in_flight : t -> int

(** Our timestamp (RFC 7323) at this time, and now. *)
val timestamp_at : t -> int -> int

val timestamp : env -> t -> int

(** The handshake is complete. *)
val synchronized : t -> bool

(** The peer made progress: its neighbour is told, at most once a second. *)
val path_works : env -> t -> unit

(** {1 The end} *)

(** The connection is gone: what it holds is released, but for octets that came in order and have
    still to be read, unless it was torn down; its user hears the reason. *)
val finish : env -> t -> reason -> unit

(** The same, of another than the one that the engine is at: if memory runs out on the way it is
    lost. *)
val conclude : env -> t -> reason -> unit

(** Ends a connection in the middle of whose work memory has run out, whatever state it is in. *)
val lose : env -> t -> unit

val enter_time_wait : env -> t -> unit

(** In TIME-WAIT, at the end of a turn, when nothing is to be acknowledged: a connection that its
    user has closed ends here for its user, and rests among {!Block.env.resting}. *)
val settle_time_wait : env -> t -> unit

(** Makes a whole connection of one that rests. It is in no table. *)
val revive : env -> Waiting.entry -> t

(** As many in TIME-WAIT as the configuration allows stay. *)
val trim_waiting : env -> unit

(** One TIME-WAIT makes room, if there is one: the oldest whose user has closed, else the oldest. *)
val drop_waiting : env -> unit
