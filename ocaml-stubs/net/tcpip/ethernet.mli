(** The Ethernet layer over any Mirage network device. *)

module type S = Mirust_mirage_types.Ethernet.S

(** Headers, as Mirage's module of this name has them, for those who read frames themselves. *)
module Packet : sig
  type proto = [ `ARP | `IPv4 | `IPv6 ]

  val pp_proto : proto Fmt.t

  type t = { source : Macaddr.t; destination : Macaddr.t; ethertype : proto }

  (** 14 bytes. *)
  val sizeof_ethernet : int

  (** The header of a frame, and what follows it: a view. An error if the frame is shorter than a
      header, or of another type. *)
  val of_cstruct : Cstruct.t -> (t * Cstruct.t, string) result

  (** Writes the header to the first {!sizeof_ethernet} bytes; an error if there are fewer. *)
  val into_cstruct : t -> Cstruct.t -> (unit, string) result

  (** The header in a buffer of its own. *)
  val make_cstruct : t -> Cstruct.t
end

module Make (N : Mirust_mirage_types.Mirage_net.S) : sig
  include S

  val connect : N.t -> t Lwt.t
end
