(** TCP for one host, without a network, a clock or a scheduler of its own.

    Segments, calls of the user and the time go in; segments go out through [transmit], and each
    connection reports what happened to it through {!on_event}. Nothing blocks and nothing raises,
    whatever the peer sends.

    A {e turn}: the driver passes in what has arrived by {!input}, lets {!advance} run what is due,
    lets the users of the connections run, and then calls {!flush}. Acknowledgements and data are
    sent there, so that one segment answers a whole batch and carries the user's reply as well. *)

type t
type connection
type config = Config.t

val default_config : config

(** [transmit ~src ~dst ~ect header payload ~length ~segment_size] sends a segment: [length] octets
    in the views of [payload]. [ect]: mark the IP header ECN-capable. If [segment_size] is not 0 it
    is to be split into segments of that many octets, by the device or before it. The views must not
    be changed; the engine does not change them either. *)
type transmit = Tcb.transmit

(** 1 MiB. *)
val default_burst : int

(** [random n]: [n] random octets, for secrets. [mss ~dst]: the octets of payload that one packet to
    [dst] can carry without TCP options. [can_send ()]: whether the device takes another segment;
    after a refusal, {!resume} must be called later. [path_works ~src ~dst] is called, at most once
    a second for each connection, when its peer has made progress. [burst ~src ~dst]: how many
    octets a connection sends in a turn at most, if more than 64 KiB (default: {!default_burst}).
    [now], here and below: ns on a monotonic clock. *)
val create :
  ?config:config ->
  ?path_works:(src:Ipaddr.t -> dst:Ipaddr.t -> unit) ->
  ?burst:(src:Ipaddr.t -> dst:Ipaddr.t -> int) ->
  now:int ->
  random:(int -> string) ->
  mss:(dst:Ipaddr.t -> int) ->
  can_send:(unit -> bool) ->
  transmit ->
  t

(** [set_bounds t ~memory ~connections ~time_wait] changes [memory_max], [connections_max] and
    [time_wait_max]. Surplus connections whose patience is exhausted are reset at once, others as
    new ones arrive; surplus ones in TIME-WAIT go at once. Windows already offered stay open, and
    close as they are used. Listeners to come have a backlog of a quarter of the connections, or
    what the configuration says if that is less. *)
val set_bounds : t -> memory:int -> connections:int -> time_wait:int -> unit

(** {1 The driver's side} *)

(** A segment has arrived, with a correct checksum. The payload is kept as a view. Segments from or
    to broadcast and multicast addresses are not answered (RFC 1122 section 4.2.3.10); only IP knows
    the broadcast addresses of networks, and must filter them out. *)
val input :
  t -> now:int -> src:Ipaddr.t -> dst:Ipaddr.t -> ce:bool -> Mirust_wire.Tcp.t -> Cstruct.t -> unit

(** Runs the timers that are due. *)
val advance : t -> now:int -> unit

(** Sends whatever is due: the end of a turn. If memory is short and a connection could go on
    without what others are stuck with, one of those is reset ([Ended `Aborted]). *)
val flush : t -> now:int -> unit

(** In the middle of a turn: sends what connections have written since they were notified in it, in
    the order in which they were notified, up to the first that has written nothing. {!flush} sends
    the rest, and bare acknowledgements, except that of a connection whose octets may not go yet for
    lack of a window or of room in the device. *)
val flush_answers : t -> now:int -> unit

(** A connection has more to send than it may in one turn: the next turn should follow at once.
    There may be many such turns, in which timers become due: each needs its {!advance}. *)
val has_more : t -> bool

(** When {!advance} is due next; [max_int] if never. *)
val next : t -> int

(** The device takes segments again. *)
val resume : t -> unit

(** ICMP reported that a segment of ours, from [src] to [dst], did not fit into [mtu] octets (RFC
    1191, 8201). True if it is believed, which requires that [seq] is in flight (RFC 5927). *)
val packet_too_big :
  t ->
  now:int ->
  src:Ipaddr.t ->
  dst:Ipaddr.t ->
  src_port:int ->
  dst_port:int ->
  seq:int ->
  mtu:int ->
  bool

(** The link may lead elsewhere now, and carry smaller packets than before: segments that are too
    large for it are cut anew at once. If it carries larger ones, only new connections use them. *)
val link_changed : t -> now:int -> unit

(** The same for one connection, whose path has refused a segment as too long. *)
val path_changed :
  t -> now:int -> src:Ipaddr.t -> dst:Ipaddr.t -> src_port:int -> dst_port:int -> unit

(** ICMP reported that a segment of ours could not be delivered. That can end only a handshake that
    we have begun: an established connection waits for the path to come back (RFC 9293 section
    3.9.2.2, RFC 5927 section 5). A transient error does not end a handshake either (MUST-56), but
    if it then times out, the reason is [`No_route] instead of [`Timeout]:

    - [`Port], [`Protocol]: definite, and from the peer: [`Refused];
    - [`Network], [`Host], [`Prohibited]: noted.

    True if a handshake ended. *)
val unreachable :
  t ->
  now:int ->
  src:Ipaddr.t ->
  dst:Ipaddr.t ->
  src_port:int ->
  dst_port:int ->
  seq:int ->
  [ `Network | `Host | `Protocol | `Port | `Prohibited ] ->
  bool

(** The layer below has found that a segment of ours cannot be delivered, because nobody has the
    address of the next hop. That, too, can end only a handshake that we have begun, at once, and by
    [`No_route]. True if it did. *)
val no_neighbour :
  t -> now:int -> src:Ipaddr.t -> dst:Ipaddr.t -> src_port:int -> dst_port:int -> bool

(** {1 Memory} *)

(** Copies what connections hold of the [device]'s receive buffers, and small parts of other large
    buffers: for a device whose buffers are used up. *)
val compact : device:(Cstruct.buffer -> bool) -> t -> unit

(** [charge t c n] adds [n] octets (negative: subtracts) that the driver holds for a connection to
    the memory bounded by the configuration. *)
val charge : t -> connection -> int -> unit

(** {1 The user's side} *)

type reason = [ `Closed | `Refused | `Reset | `Timeout | `Aborted | `No_route ]

val pp_reason : reason Fmt.t

type event = Tcb.event =
  | Connected
  | Readable  (** something to read, or the end *)
  | Writable  (** after {!write_space} was found too small *)
  | Ended of reason
      (** the connection is gone: [`Closed] after both sides closed; what was received before can
          still be read *)

(** Sets the receiver of the connection's events. It is called in the middle of the engine's work,
    so it must not call the engine, but schedule that. *)
val on_event : connection -> (event -> unit) -> unit

(** Accepts connections to [port], on every address; [f] gets each one once it is established, and
    sets {!on_event} then. [`Invalid]: ports are from 1 to 65535. *)
val listen :
  t -> port:int -> ?backlog:int -> (connection -> unit) -> (unit, [ `In_use | `Invalid ]) result

(** New connections are refused; half-open ones are reset. Established ones go on. *)
val unlisten : t -> port:int -> unit

(** Starts the handshake; [Connected] or [Ended] follows. Source ports are random (RFC 6056).
    [`No_memory]: there are as many connections as there may be. [`Invalid]: an impossible port,
    addresses of two families, or one that is not a unicast address. *)
val connect :
  t ->
  now:int ->
  ?src_port:int ->
  ?keepalive:Tcb.keepalive ->
  src:Ipaddr.t ->
  dst:Ipaddr.t ->
  dst_port:int ->
  (event -> unit) ->
  (connection, [ `No_port | `No_memory | `Invalid ]) result

(** The number of octets that {!write} should be given at most. After 0, [Writable] is reported when
    there is room again. *)
val write_space : t -> connection -> int

(** Takes ownership of the view until the peer has acknowledged it. More than {!write_space} is
    accepted too. *)
val write : t -> connection -> Cstruct.t -> (unit, [ `Closed ]) result

(** The next octets received in order, if there are any. *)
val read : t -> connection -> Cstruct.t option

(** The same, but at most [most] of them, which is positive. What is not taken is still held for the
    connection, and counts in {!val-memory}. *)
val read_some : t -> connection -> most:int -> Cstruct.t option

(** The number of octets that {!read} would return, in one or more views. *)
val unread : connection -> int

(** The peer has closed its direction and all was read, or the connection is gone. *)
val at_eof : connection -> bool

val ended : connection -> bool

(** Nothing more will be written: a FIN follows what is unsent. *)
val shutdown : t -> now:int -> connection -> unit

(** Nothing more will be written or read. The connection closes gracefully, in the background; it is
    reset if octets are unread or still arrive (RFC 9293 section 3.6.1). *)
val close : t -> now:int -> connection -> unit

(** Resets the connection. *)
val abort : t -> connection -> unit

(** {!abort}s every connection, and removes all listeners. *)
val abort_all : t -> unit

(** Whether to send small segments at once, even if an earlier one is unacknowledged. *)
val set_nodelay : t -> connection -> bool -> unit

(** Times are clamped to between 1 ns and a year, here and below. *)
val set_keepalive : t -> now:int -> connection -> Tcb.keepalive option -> unit

(** In ns: see {!Config}. *)
val set_user_timeout : t -> connection -> int -> unit

val state : connection -> Tcb.state
val local : connection -> Ipaddr.t * int
val remote : connection -> Ipaddr.t * int

(** {1 Figures} *)

val stats : t -> Stats.t

(** Octets held by all connections. *)
val memory : t -> int

(** Of these, by one. *)
val held : connection -> int

(** In any state, including TIME-WAIT. *)
val connections : t -> int

val timers : t -> int

(** As [ss -i] shows it. *)
type info = Info.t

val info : connection -> info

(** {1 For tests} *)

(** Every connection, in no order. *)
val iter : t -> (connection -> unit) -> unit

(** The whole state. *)
val tcb : connection -> Tcb.t

(** The connection between these two addresses and ports. *)
val lookup : t -> local:Ipaddr.t * int -> remote:Ipaddr.t * int -> connection option

val env : t -> Tcb.env
