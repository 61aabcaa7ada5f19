(** The Ethernet layer. *)

module Packet = struct
  type proto = [ `ARP | `IPv4 | `IPv6 ]
end

module type S = sig
  type error = private [> `Exceeds_mtu ]

  val pp_error : error Fmt.t

  type t

  val disconnect : t -> unit Lwt.t

  (** [write t ?src dst proto ?size fill] sends one frame with the payload that [fill] writes, at
      most [size] bytes (default: the MTU); [fill] returns how many. *)
  val write :
    t ->
    ?src:Macaddr.t ->
    Macaddr.t ->
    Packet.proto ->
    ?size:int ->
    (Cstruct.t -> int) ->
    (unit, error) result Lwt.t

  val mac : t -> Macaddr.t

  (** Bytes of payload. *)
  val mtu : t -> int

  (** Hands the payload of a received frame to the function for its type. Frames for other stations
      and of other types are dropped. *)
  val input :
    arpv4:(Cstruct.t -> unit Lwt.t) ->
    ipv4:(Cstruct.t -> unit Lwt.t) ->
    ipv6:(Cstruct.t -> unit Lwt.t) ->
    t ->
    Cstruct.t ->
    unit Lwt.t
end
