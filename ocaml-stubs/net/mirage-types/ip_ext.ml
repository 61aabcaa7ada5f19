(** What our IP layers offer beyond Mirage's interface, to a transport that can use it: paths that
    remember a routing decision, checksums and segmentation by the device, synchronous output, the
    state of received checksums, ECN, and reports of what happened to packets. *)

open Mirust_wire

type outcome =
  [ `Sent  (** taken; perhaps waiting for the neighbour's address *)
  | `Full  (** no room: try again after [on_room] *)
  | `Too_long  (** longer than the path's MTU, or than its largest segment *)
  | `No_route  (** no route or no source address, for now *) ]

(** What a router or the peer's host said about a packet that was sent. It may be forged: a
    transport checks that the quoted header is one of its own before it acts. *)
type problem =
  | Too_big of int
      (** a packet did not fit: the MTU reported, bytes, IP header included. Nothing has been done
          about a report on a TCP packet: see {!S.lower_mtu} *)
  | Unreachable of [ `Network | `Host | `Protocol | `Port | `Prohibited ]
  | Expired  (** in transit or in reassembly *)
  | No_neighbour
      (** nobody answered for the next hop: found out by ourselves, and so not forged. The packet is
          lost *)

module type S = sig
  include Tcpip.Ip.S

  (** {1 Output} *)

  (** The way to one destination from one source address. Cheap to keep; follows changes of routes,
      neighbours and MTU by itself. *)
  type path

  val path : t -> ?src:ipaddr -> ipaddr -> (path, error) result

  (** As {!val-path}, but while addresses are still being asked for (DHCP, router advertisements) or
      looked for on the link it waits. An error is the last word. *)
  val route : t -> ?src:ipaddr -> ipaddr -> (path, error) result Lwt.t

  val source : path -> ipaddr
  val destination : path -> ipaddr

  (** Not a broadcast or multicast address. *)
  val is_unicast : path -> bool

  (** Bytes after the IP header that fit in one packet, by what is known now. *)
  val path_mtu : path -> int

  (** Acts on a [Too_big] that the transport found credible. False if it says nothing new. *)
  val lower_mtu : path -> int -> bool

  (** The largest transport packet, header included, that [output] takes with a [gso_size]; 0 if the
      device cuts none. *)
  val max_segment : path -> int

  (** [output p ~tos ~gso_size ~proto ~checksum_offset ~size fill payload] sends a packet of the
      transport header that [fill b at] writes into exactly [size] bytes of [b] (any content before)
      from byte [at] on, and [payload], which must not change afterwards. [gso_size] is 0 for a
      packet that goes as it is. It is never fragmented. The checksum field, [checksum_offset] bytes
      into the header, is completed here or by the device: [fill] leaves anything in it. [tos] is
      the differentiated services and ECN byte. [fill] must not send; it is called before [output]
      returns, or not at all. *)
  val output :
    path ->
    tos:int ->
    gso_size:int ->
    proto:Tcpip.Ip.proto ->
    checksum_offset:int ->
    size:int ->
    (Cstruct.t -> int -> unit) ->
    Cstruct.t list ->
    outcome

  (** The peer has made progress, so that the neighbour on the way to it is reachable (RFC 4861
      section 7.3.1). *)
  val confirm : path -> unit

  (** Adds a function that is called when a full device has room again. *)
  val on_room : t -> (unit -> unit) -> unit

  (** Tells the device that no more frames follow for now. *)
  val flush : t -> unit

  (** {1 Input} *)

  (** [data] is the transport header and payload; the other fields are the received frame's. With
      [`Unknown] the receiver verifies the checksum. *)
  type receiver = src:ipaddr -> dst:ipaddr -> tos:int -> Packet.t -> unit

  (** [data] contains the packet, whose IP header begins at byte [at]. A caller with many packets
      applies the function partially, once, and then calls the result for each packet. *)
  val input_packet :
    t ->
    tcp:receiver ->
    udp:receiver ->
    default:(proto:int -> receiver) ->
    at:int ->
    Packet.t ->
    unit

  (** Adds a function that is told of ICMP errors; [src] and [dst] are those of the packet at fault,
      and the last argument is what was quoted of its transport header, at least 8 bytes. *)
  val on_problem :
    t -> (proto:int -> src:ipaddr -> dst:ipaddr -> problem -> Cstruct.t -> unit) -> unit
end
