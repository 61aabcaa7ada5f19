(** TCP as a Mirage flow: {!Mirust_tcp.Engine} driven by an IP layer, a clock and Lwt.

    One turn of the Lwt loop takes in all segments that have arrived, wakes those who wait for them,
    and only then sends: replies carry acknowledgements, and one acknowledgement answers a batch. *)

open Mirust_mirage_types

module type S = sig
  type error =
    [ Tcpip.Tcp.error
    | `Reset  (** by the peer *)
    | `Aborted  (** by us *)
    | `No_resources
    | `No_route of string
      (** of a connection that is to be made: the address is none that can be reached, or nobody is
          there; and why *) ]

  type write_error =
    [ Tcpip.Tcp.write_error | `Reset | `Aborted | `No_resources | `No_route of string ]

  include
    Tcpip.Tcp.S
      with type ipaddr = Ipaddr.t
       and type error := error
       and type write_error := write_error

  (** As Mirage has it, [read] gives [`Eof] however the connection ended, and never an error;
      writing does. {!failure} tells a reset from an end in good order. *)

  (** {1 Beyond Mirage's interface} *)

  (** As [listen], but an error is a value: [`In_use] if the port has a listener already. [listen]
      replaces it. [backlog]: half-open connections before the listener answers with SYN cookies. *)
  val try_listen :
    t ->
    port:int ->
    ?backlog:int ->
    ?keepalive:Tcpip.Tcp.Keepalive.t ->
    (flow -> unit Lwt.t) ->
    (unit, [ `In_use | `Invalid ]) result

  val set_nodelay : flow -> bool -> unit

  (** [None] switches keepalive probes off. *)
  val set_keepalive : flow -> Tcpip.Tcp.Keepalive.t option -> unit

  (** How long written data may stay unacknowledged before the connection is given up, in ns. *)
  val set_user_timeout : flow -> int -> unit

  (** {2 Without promises}

      For those who have a scheduler of their own: an answer at once, and a promise of a better one.
  *)

  (** As [read], but [`Wait] where that would wait, and [`Error] instead of [`Eof] after {!failure}.
  *)
  val try_read : flow -> [ `Data of Cstruct.t | `Eof | `Wait | `Error of error ]

  (** Whether {!try_read} would say [`Wait]. *)
  val would_wait : flow -> bool

  (** After [`Wait]: resolved when it is worth another try. *)
  val readable : flow -> unit Lwt.t

  (** The octets that {!put} should be given at most; 0 or less if there is no room for any. *)
  val write_room : flow -> (int, write_error) result

  (** Takes the view over, behind all that was written before; more than {!write_room} is taken too.
  *)
  val put : flow -> Cstruct.t -> (unit, write_error) result

  (** After a {!write_room} of 0 or less: resolved when there is some, or an error. *)
  val writable : flow -> unit Lwt.t

  (** For callbacks of {!readable} and {!writable} that tell somebody who acts only when the loop
      turns: what the stack has to send waits for that turn, so that a reply still carries the
      acknowledgement of its request. *)
  val defer_flush : flow -> unit

  (** Resets the connection: what was written may be lost. *)
  val abort : flow -> unit

  (** What is known of the connection, as [ss -i] shows it, and why it ended. *)
  val info : flow -> Mirust_tcp.Engine.info

  (** Why the connection ended other than in good order, if it did. *)
  val failure : flow -> error option

  val engine : t -> Mirust_tcp.Engine.t

  (** What connections hold of a device's receive buffers, and what waits to be written of them, is
      copied: see {!Mirust_netif.Device.t.on_pressure}. *)
  val compact : device:(Cstruct.buffer -> bool) -> t -> unit

  (** As [input], with what the device and the IP header say about the packet. *)
  val input_packet : t -> src:ipaddr -> dst:ipaddr -> tos:int -> Mirust_wire.Packet.t -> unit
end

module Flow : sig
  (** Over one of our IP layers: checksums and segmentation by the device, back-pressure, ECN, path
      MTU discovery. *)
  module Make (I : Ip_ext.S with type ipaddr = Ipaddr.t) : sig
    include S

    val connect : ?config:Mirust_tcp.Engine.config -> I.t -> t Lwt.t
  end

  (** Over any Mirage IP layer. *)
  module Make_plain (I : Tcpip.Ip.S with type ipaddr = Ipaddr.t) : sig
    include S

    val connect : ?config:Mirust_tcp.Engine.config -> I.t -> t Lwt.t
  end
end
