(** The part of sending packets that IPv4 and IPv6 share, once header and next hop are known; and
    their counters. *)

open Mirust_mirage_types

type counters = {
  mutable received : int;
  mutable malformed : int;
  mutable not_for_us : int;
  mutable fragments : int;
  mutable reassembled : int;
  mutable reassembly_failed : int;
  mutable sent : int;
  mutable unresolved : int;  (** dropped for want of a link address *)
  mutable own_dropped : int;  (** to ourselves, when too much of that was waiting *)
  mutable crowded_out : int;  (** dropped, as too much was waiting for the device *)
}

(** Octets of waiting packets, including the cost of queueing them. *)
type waiting = { mutable octets : int }

type t = {
  link : Link.t;
  ethertype : Mirust_wire.Ethernet.proto;
  header : int;  (** octets of an IP header without options *)
  counters : counters;
  mutable loopback : (Mirust_wire.Packet.t -> unit) option;
      (** where packets to ourselves are delivered; without it there is no route to them *)
  own : Mirust_wire.Packet.t Queue.t;  (** to ourselves, for the next turn *)
  mutable own_octets : int;  (** in [own] *)
  mutable own_asked : bool;  (** the next turn will deliver them *)
  own_max : int;
  asking : waiting;  (** written, and waiting for a neighbour's answer *)
  queued : waiting;  (** written, and waiting for the device *)
  mutable looped : bool;  (** the packet that comes in next was sent by ourselves *)
}

(** Whether the packet that has just come in was sent by ourselves: asked once for each packet,
    before anything is called that may send. *)
val looped : t -> bool

(** Why a link address is not known: nobody has answered for it, or too much was waiting for the
    answer already. *)
type unresolved = [ `Timeout | `Overflow ]

(** [own]: octets that may wait for delivery to ourselves, as many for neighbours' answers, and as
    many for the device; by default 4 MiB. *)
val create : ?own:int -> Link.t -> Mirust_wire.Ethernet.proto -> header:int -> t

(** {1 A transport's packets}

    In a buffer that begins with both headers; [payload] follows it. The other arguments are those
    of {!Mirust_mirage_types.Ip_ext.S.val-output}; [offload]: the device completes the checksum. *)

(** Makes [fill] write a transport header of [size] bytes at byte [at] of a buffer, and completes
    its checksum or prepares it for the device. *)
val emit_transport :
  pseudo:Mirust_wire.Checksum.sum ->
  checksum_offset:int ->
  offload:bool ->
  (Cstruct.t -> int -> unit) ->
  Cstruct.t list ->
  Cstruct.t ->
  at:int ->
  size:int ->
  unit

(** Delivers to ourselves, a turn of the Lwt loop later, so that no receiver is called inside a call
    that sends. The function writes [size] bytes; [checksum] is [`Valid] by default. *)
val send_to_own :
  t ->
  ?checksum:Mirust_wire.Packet.checksum ->
  size:int ->
  (Cstruct.t -> unit) ->
  Cstruct.t list ->
  [> `Sent | `No_route ]

(** Sends what was reserved of the link, with its headers written. *)
val send :
  t ->
  Macaddr.t ->
  Cstruct.t ->
  Cstruct.t list ->
  offload:bool ->
  checksum_offset:int ->
  gso_size:int ->
  Ip_ext.outcome

(** Sends the [size] bytes that the function writes. *)
val send_filled : t -> Macaddr.t -> size:int -> (Cstruct.t -> unit) -> Ip_ext.outcome

(** As {!send}, when the next hop's link address has to be asked for: what is to be sent waits with
    the question. The buffer is one of the caller's, with the two headers alone. If the question is
    not answered, [lost] gets the transport header. *)
val send_after :
  t ->
  (Macaddr.t, unresolved) result Lwt.t ->
  lost:(Cstruct.t -> unit) ->
  Cstruct.t ->
  Cstruct.t list ->
  offload:bool ->
  checksum_offset:int ->
  gso_size:int ->
  Ip_ext.outcome

(** {1 Mirage's output} *)

(** A packet to be written: [emit] fills exactly [size] bytes. *)
type piece = { size : int; emit : Cstruct.t -> unit }

(** [with_mac t query ~pp ~octets via f] is [f] of the answer; it keeps this many octets alive until
    it is done. An error without an answer, which names [via], or if too many octets wait already.
*)
val with_mac :
  t ->
  (Macaddr.t, unresolved) result Lwt.t ->
  pp:'a Fmt.t ->
  octets:int ->
  'a ->
  (Macaddr.t -> ('b, ([> `No_route of string ] as 'e)) result Lwt.t) ->
  ('b, 'e) result Lwt.t

(** [write t mac ~size fill]: [fill] says how many of [size] bytes it used. *)
val write :
  t -> Macaddr.t -> size:int -> (Cstruct.t -> int) -> (unit, [> `Link of string ]) result Lwt.t

(** One after the other, up to the first error. *)
val write_pieces : t -> Macaddr.t -> piece list -> (unit, [> `Link of string ]) result Lwt.t

val pieces_to_own : t -> piece list -> (unit, [> `No_route of string ]) result Lwt.t

(** Cuts [length] bytes into pieces of at most [room], all but the last of a multiple of eight (RFC
    791, RFC 8200 section 4.5). *)
val cut : length:int -> room:int -> (off:int -> len:int -> more:bool -> piece) -> piece list
