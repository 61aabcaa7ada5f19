(** IPv4 with addresses given by hand, over any Mirage Ethernet and ARP layers. *)

module Make (E : Mirust_mirage_types.Ethernet.S) (A : Mirust_mirage_types.Arp.S) : sig
  include
    Mirust_mirage_types.Ip_ext.S
      with type ipaddr = Ipaddr.V4.t
       and type prefix = Ipaddr.V4.Prefix.t
       and type t = Ipv4_core.t

  (** [no_init] (default false) leaves the address out, and ARP alone. [fragment_cache_size]: bytes
      kept for reassembly. *)
  val connect :
    ?no_init:bool ->
    cidr:Ipaddr.V4.Prefix.t ->
    ?gateway:Ipaddr.V4.t ->
    ?fragment_cache_size:int ->
    E.t ->
    A.t ->
    t Lwt.t
end
