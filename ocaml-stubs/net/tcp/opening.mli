(** How connections begin: by a SYN, or the acknowledgement of a SYN cookie, that arrives for a
    listener; or by a user who connects. *)

type t

(** [mss ~dst]: as in {!Engine.create}. [key] is secret, and [port_step] at random. *)
val create :
  Tcb.env ->
  Table.t ->
  Crowd.t ->
  mss:(dst:Ipaddr.t -> int) ->
  key:Siphash.key ->
  port_step:int ->
  t

val mss : t -> dst:Ipaddr.t -> int

(** What the environment's [forget] must be: takes a closed connection out of the table, out of the
    crowd, and out of its listener's count. *)
val forget : t -> Tcb.t -> unit

(** {1 Listeners} *)

(** As in {!Engine}. *)
val listen :
  t -> port:int -> ?backlog:int -> (Tcb.t -> unit) -> (unit, [ `In_use | `Invalid ]) result

val is_listening : t -> port:int -> bool

(** Half-open connections are reset. *)
val unlisten : t -> port:int -> unit

val unlisten_all : t -> unit

(** The backlog of listeners to come, with so many connections. *)
val backlog : t -> connections:int -> int

(** A segment that belongs to no connection. [after]: what the last one between the same ends has
    sent, if it has just ended for this segment. *)
val to_listener :
  t ->
  src:Ipaddr.t ->
  dst:Ipaddr.t ->
  after:Seq.t option ->
  Mirust_wire.Tcp.t ->
  Cstruct.t ->
  ce:bool ->
  unit

(** {1 Connecting} *)

(** As {!Engine.connect}. *)
val connect :
  t ->
  ?src_port:int ->
  ?keepalive:Tcb.keepalive ->
  src:Ipaddr.t ->
  dst:Ipaddr.t ->
  dst_port:int ->
  (Tcb.event -> unit) ->
  (Tcb.t, [ `No_port | `No_memory | `Invalid ]) result
