(** ARP over any Mirage Ethernet layer. *)

module type S = Mirust_mirage_types.Arp.S

module Make (E : Mirust_mirage_types.Ethernet.S) : sig
  include S with type t = Arp_core.t

  (** [probe_delay]: ns between two requests for the same neighbour (default one second). *)
  val connect : ?probe_delay:int64 -> E.t -> t Lwt.t
end
