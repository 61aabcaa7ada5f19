(** TCP for one host, without a network, a clock or a scheduler of its own.

    Segments, calls of the user and the time go in; segments go out through [transmit], and each
    connection reports what happened to it through {!on_event}. Nothing blocks and nothing raises,
    whatever the peer sends.

    A {e turn}: the driver hands in what has arrived with {!input}, lets {!advance} run what is due,
    lets the users of the connections run, and then calls {!flush}. Acknowledgements and data are
    sent there, so that one segment answers a batch of them and carries the user's reply as well. *)

type t
type connection
type config = Config.t

val default_config : config

(** When there are too many connections, and another wants to be, one goes that has neither received
    nor had acknowledged an octet for longer than this, in ns: three seconds while octets of it are
    held that it does not take; else one for nothing, and one more each time that what it has moved
    in its life has doubled. *)
val patience : holds:bool -> moved:int -> int

(** [transmit ~src ~dst ~ect header payload ~length ~segment_size] sends a segment: [length] octets
    in the views of [payload]. [ect]: mark the IP header ECN-capable. If [segment_size] is not 0 it
    is to be cut into segments of so many octets, by the device or before it. The views must not be
    changed, and are not by the engine. *)
type transmit = Tcb.transmit

(** [random n]: [n] random octets, for the secrets. [mss ~dst]: the octets of payload that one
    packet to [dst] can carry without TCP options. [can_send ()]: whether the device takes another
    segment; when it says no, {!resume} is due later. [path_works ~src ~dst] is called, at most once
    a second for each connection, when its peer has made progress. [unicast]: false for the
    broadcast addresses that only IP knows; the engine knows the others, and those of groups.
    Nothing that comes from or is for one of them is answered (RFC 1122 section 4.2.3.10). [now],
    here and below: ns on a clock that does not go back. *)
val create :
  ?config:config ->
  ?path_works:(src:Ipaddr.t -> dst:Ipaddr.t -> unit) ->
  now:int ->
  random:(int -> string) ->
  mss:(dst:Ipaddr.t -> int) ->
  can_send:(unit -> bool) ->
  transmit ->
  t

(** {1 The driver's side} *)

(** A segment has arrived, with a checksum that was right. The payload is kept as it is. Nothing
    that comes from or is for many hosts is answered (RFC 1122 section 4.2.3.10); of broadcast
    addresses only IP knows those of networks, and has to keep them away. *)
val input :
  t -> now:int -> src:Ipaddr.t -> dst:Ipaddr.t -> ce:bool -> Mirust_wire.Tcp.t -> Cstruct.t -> unit

(** Runs the timers that are due. *)
val advance : t -> now:int -> unit

(** Sends what is to be sent: the end of a turn. *)
val flush : t -> now:int -> unit

(** When {!advance} is due next; [max_int] if never. *)
val next : t -> int

(** The device takes segments again. *)
val resume : t -> unit

(** ICMP said that a segment of ours, from [src] to [dst], did not fit into [mtu] octets (RFC 1191,
    8201). It is believed if [seq] is in flight (RFC 5927), and true is the result. *)
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

(** ICMP said that a segment of ours could not be delivered, or the link's neighbour cache did. That
    ends a handshake which we have begun, and nothing else: an established connection waits for the
    path to come back (RFC 9293 section 3.9.2.2, RFC 5927 section 5). A handshake goes on, too,
    after what may pass (MUST-56), and ends as [`Unreachable] instead of [`Timeout] if it does not:

    - [`Port], [`Protocol]: the peer's word, and hard: [`Refused];
    - [`Neighbour]: our own knowledge, after all tries: [`Unreachable] at once;
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

(** The layer below has found by itself that a segment of ours cannot be delivered: nobody has the
    address of the next hop. That, too, ends a handshake which we have begun, and nothing else. True
    if it did. *)
val no_neighbour :
  t -> now:int -> src:Ipaddr.t -> dst:Ipaddr.t -> src_port:int -> dst_port:int -> bool

(** {1 Memory} *)

(** What connections hold of the [device]'s receive buffers, and what is small in other large ones,
    is copied out of them: for a device whose buffers are used up. *)
val compact : device:(Cstruct.buffer -> bool) -> t -> unit

(** [charge t n] counts [n] octets more, or fewer, that the driver holds for connections, and that
    are under the bound on all of them. *)
val charge : t -> int -> unit

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

(** Who hears of the connection's events: called in the middle of the engine's work, and so it must
    not call the engine back, but schedule that. *)
val on_event : connection -> (event -> unit) -> unit

(** Accepts connections to [port], on every address; [f] gets each one once it is established, and
    sets {!on_event} then. [`Invalid]: ports are from 1 to 65535. *)
val listen :
  t -> port:int -> ?backlog:int -> (connection -> unit) -> (unit, [ `In_use | `Invalid ]) result

(** New connections are refused; half-open ones are reset. Established ones go on. *)
val unlisten : t -> port:int -> unit

(** Starts the handshake; [Connected] or [Ended] follows. Source ports are random (RFC 6056).
    [`Invalid]: a port that is none, addresses of two families, or one that is not of one host. *)
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

(** Octets that {!write} should be given at most. At 0, [Writable] comes when there is room again.
*)
val write_space : t -> connection -> int

(** Takes the view over until the peer has acknowledged it. More than {!write_space} is taken too.
*)
val write : t -> connection -> Cstruct.t -> (unit, [ `Closed ]) result

(** The next octets that came in order, if there are any. *)
val read : t -> connection -> Cstruct.t option

(** Octets that {!read} would give, at once or one view after the other. *)
val unread : connection -> int

(** The peer has closed its direction and all was read, or the connection is gone. *)
val at_eof : connection -> bool

val ended : connection -> bool

(** Nothing more will be written: a FIN follows what is unsent. *)
val shutdown : t -> now:int -> connection -> unit

(** Nothing more will be written or read. The connection closes in good order, in the background; it
    is reset if octets are unread or still arrive (RFC 9293 section 3.6.1). *)
val close : t -> now:int -> connection -> unit

(** Resets the connection. *)
val abort : t -> connection -> unit

(** {!abort} for every connection, and no listener any more. *)
val abort_all : t -> unit

(** Send small segments at once, even when an earlier one is not acknowledged. *)
val set_nodelay : t -> connection -> bool -> unit

(** Times outside of 1 ns to a year are taken as the nearer end of that, here and below. *)
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

(** In whatever state, TIME-WAIT included. *)
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
