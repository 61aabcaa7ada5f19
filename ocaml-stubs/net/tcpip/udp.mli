(** UDP over any IP layer. *)

module type S = Mirust_mirage_types.Tcpip.Udp.S

module Make (I : Mirust_mirage_types.Tcpip.Ip.S) : sig
  include S with type ipaddr = I.ipaddr

  val connect : I.t -> t Lwt.t

  (** {1 Beyond Mirage's interface} *)

  (** As [listen], for one peer only: to all others the port behaves as if it were closed. *)
  val listen_to : t -> port:int -> peer:ipaddr * int -> callback -> unit

  (** Whether a port has no listener. ([listen] replaces the one there is.) *)
  val is_free : t -> port:int -> bool

  (** As [input], for a packet whose checksum the device may have verified. *)
  val input_packet : t -> src:ipaddr -> dst:ipaddr -> tos:int -> Mirust_wire.Packet.t -> unit

  (** Sets the function that gets datagrams (from their header on) to ports without a listener. *)
  val on_unlistened : t -> (src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit) -> unit

  type counters = {
    mutable received : int;
    mutable malformed : int;
    mutable bad_checksum : int;
    mutable unlistened : int;
    mutable sent : int;
  }

  val counters : t -> counters
end
