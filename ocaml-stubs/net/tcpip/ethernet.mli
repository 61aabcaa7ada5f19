(** The Ethernet layer over any Mirage network device. *)

module type S = Mirust_mirage_types.Ethernet.S

module Packet : sig
  type proto = [ `ARP | `IPv4 | `IPv6 ]

  val sizeof_ethernet : int
end

module Make (N : Mirust_mirage_types.Mirage_net.S) : sig
  include S

  val connect : N.t -> t Lwt.t
end
