(** Scripts of packets, in the manner of packetdrill, run against one {!Mirust_tcp.Engine} with a
    clock that stands still.

    A file holds cases. A case begins with [test NAME | CLAUSE] and has one step a line; [#] begins
    a comment. The engine is the host 192.0.2.1, port 80; the script plays the peer, 192.0.2.2, port
    5000. Sequence numbers are relative: each side's SYN is 0, its first octet 1. Payload is made up
    from the sequence number, and compared with that when it comes out.

    A step may begin with [+MS]: it happens this many milliseconds later, and what the engine sends
    in between must have been expected. Without it a step belongs to the same turn as the one
    before; the engine is flushed before anything is expected from it.

    {v
    < FLAGS SEQ:END [ack N] [win N] [option..] [ce] [port N]     a segment arrives
    > FLAGS SEQ:END [ack N] [win N] [option..] [ect] [port N]    one must have been sent
    none                                             nothing was sent
    flood N every MS < ..                            the segment arrives N times; time passes
    answers N                                        this many segments have been sent, whatever they are
    connect | listen [backlog N] | unlisten | established [passive] [mss N] [win N] ..
    write N | read N | eof | shutdown | close | abort | nodelay | user_timeout MS
    keepalive AFTER INTERVAL PROBES | no_keepalive | device full | device room | icmp SEQ MTU
    unreachable SEQ port | protocol | network | host | prohibited
    no_neighbour
    silence MS                                       time passes, whatever is sent
    paused MS                                        time passes, and nothing runs
    state STATE | events EVENT.. | stat NAME N | info NAME N | memory N | space N | confirmed N | gone
    connections N                                    this many there are, those in TIME-WAIT included
    config NAME[=VALUE]..                            before anything else
    isn N | iss N                                    the peer's, and the engine's first number
    v}

    FLAGS are of [S F R P A U E C]; [-] is none. Options: [mss N], [wscale N], [sackok],
    [ts VALUE ECHO] ([*]: not compared; values are relative to the engine's first), [sack L:R ..].
    If one is named in an expected segment, the options must be exactly those named; [noopts] means
    none; otherwise they are not compared, and nor are [win] and [ack] when missing. A range longer
    than a segment stands for several full ones.

    [established] is a handshake: active if not [passive]; with [mss] (default 1000), [win] (default
    65535), [wscale], [rtt] (ms; default 0), [nosack], [ts], [ecn]. *)

type case

val name : case -> string

(** Cases of a file. Raises [Failure] with the line of a mistake. *)
val parse : file:string -> case list

(** Raises [Failure] with the line, what was expected and what happened. *)
val run : case -> unit

(** The numbers of a connection, relative: the peer's next, our oldest unacknowledged, our next; and
    whether the peer's FIN has come. *)
type view = { next : int; una : int; nxt : int; peer_closed : bool }

(** [play steps last] runs [steps], then those that [last] makes of the numbers reached, and returns
    the connection's state (none: there is no connection) and the flags of what was sent since. *)
val play : string list -> (view -> string list) -> Mirust_tcp.Tcb.state option * string list
