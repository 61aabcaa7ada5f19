(** What a TCP layer offers: Mirage's interface, and more. *)

open Mirust_mirage_types

module type S = sig
  type error =
    [ Tcpip.Tcp.error
    | `Reset  (** by the peer *)
    | `Aborted  (** by us *)
    | `No_resources
    | `No_route of string
      (** on connecting: the address cannot be reached, or nobody has it; and why *) ]

  type write_error =
    [ Tcpip.Tcp.write_error | `Reset | `Aborted | `No_resources | `No_route of string ]

  include
    Tcpip.Tcp.S
      with type ipaddr = Ipaddr.t
       and type error := error
       and type write_error := write_error

  (** As in Mirage, [read] returns [`Eof] however the connection ended, and never an error; writing
      does. {!failure} distinguishes a reset from an orderly end. *)

  (** A [read] that finds data returns a view of it. One that has waited gets at most 1024 octets,
      in memory of their own, if more than 8192 are there; the next [read] has the rest at once. For
      the promise is old by then, and what it holds stays in use until the next major collection: a
      view would keep a device's receive buffer for so long. {!read_some} does the same. *)

  (** {1 Beyond Mirage's interface} *)

  (** As [listen], but errors are values: [`In_use] if the port already has a listener, which
      [listen] would replace. [backlog]: the number of half-open connections beyond which the
      listener answers with SYN cookies. *)
  val try_listen :
    t ->
    port:int ->
    ?backlog:int ->
    ?keepalive:Tcpip.Tcp.Keepalive.t ->
    (flow -> unit Lwt.t) ->
    (unit, [ `In_use | `Invalid ]) result

  (** Whether small pieces leave at once (true), or wait for the acknowledgement of earlier small
      ones (false, Minshall's variant of Nagle's rule: the default). *)
  val set_nodelay : flow -> bool -> unit

  (** [None] switches keepalive probes off. *)
  val set_keepalive : flow -> Tcpip.Tcp.Keepalive.t option -> unit

  (** How long written data may stay unacknowledged before the connection is given up, in ns. *)
  val set_user_timeout : flow -> int -> unit

  (** [read_some flow ~most] is [read] of at most [most] octets (1 or more). What is not taken stays
      in the receive window, which is bounded for all connections together and can be copied out of
      a device's buffers: [read] may hand out a view of 64 KiB and more, which nobody bounds any
      longer. For services that hold on to what they have read while they wait for something.
      @raise Invalid_argument if [most] is less than 1 *)
  val read_some : flow -> most:int -> ([ `Data of Cstruct.t | `Eof ], error) result Lwt.t

  (** The number of octets that have arrived and that reads would give without waiting. *)
  val unread : flow -> int

  (** {2 Without promises}

      For code with its own scheduler: functions that answer at once, and tell when asking again is
      worthwhile. *)

  (** As [read], but [`Wait] where that would wait, and [`Error] instead of [`Eof] if there is a
      {!failure}. *)
  val try_read : flow -> [ `Data of Cstruct.t | `Eof | `Wait | `Error of error ]

  (** Whether {!try_read} would return [`Wait]. *)
  val would_wait : flow -> bool

  (** After [`Wait]: has this called once, when a retry is worthwhile. Of several, the last is. *)
  val on_readable : flow -> (unit -> unit) -> unit

  (** The number of bytes that {!put} should be given at most; 0 or less if there is no room. *)
  val write_room : flow -> (int, write_error) result

  (** Takes ownership of the view, and appends it to everything written before. More than
      {!write_room} is accepted too. *)
  val put : flow -> Cstruct.t -> (unit, write_error) result

  (** After a {!write_room} of 0 or less: resolved when there is room, or an error. *)
  val writable : flow -> unit Lwt.t

  (** For callbacks of {!on_readable} and {!writable} that notify code which acts only in the next
      turn of the loop: sending is deferred to that turn, so that a reply still carries the
      acknowledgement of its request. *)
  val defer_flush : flow -> unit

  (** Resets the connection; written data may be lost. *)
  val abort : flow -> unit

  (** [drain flow ns] is [close] for a client that is refused while it sends: closing with unread
      data would reset the connection (RFC 2525 section 2.17), and the reset can overtake the
      refusal. Instead our direction ends after what was written, and what arrives is discarded
      until the client has ended its own, for at most [ns]. *)
  val drain : flow -> int64 -> unit Lwt.t

  (** The connection's statistics, as shown by [ss -i], and why it ended. *)
  val info : flow -> Mirust_tcp.Engine.info

  (** Why the connection ended, if it did not end in an orderly way. *)
  val failure : flow -> error option

  (** The state machine below, for its counters and settings. *)
  val engine : t -> Mirust_tcp.Engine.t

  (** Copies what connections hold of a device's receive buffers, including what waits to be
      written: see {!Mirust_netif.Device.t.on_pressure}. *)
  val compact : device:(Cstruct.buffer -> bool) -> t -> unit

  (** The link is up again, perhaps with another MTU: see {!Mirust_tcp.Engine.link_changed}. *)
  val link_changed : t -> unit

  (** As [input], with information from the device and the IP header. *)
  val input_packet : t -> src:ipaddr -> dst:ipaddr -> tos:int -> Mirust_wire.Packet.t -> unit
end
