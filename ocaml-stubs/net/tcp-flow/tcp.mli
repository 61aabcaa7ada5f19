(** TCP as a Mirage flow: {!Mirust_tcp.Engine} driven by an IP layer, a clock and Lwt.

    One turn of the Lwt loop takes in all segments that have arrived, wakes the promises that wait
    for them, and only then sends: replies carry acknowledgements, and one acknowledgement covers a
    batch. *)

open Mirust_mirage_types

module type S = Signature.S

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
