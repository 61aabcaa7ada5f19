(** IPv6 over any Mirage network device and Ethernet layer. *)

module Make (N : Mirust_mirage_types.Mirage_net.S) (E : Mirust_mirage_types.Ethernet.S) : sig
  include
    Mirust_mirage_types.Ip_ext.S
      with type ipaddr = Ipaddr.V6.t
       and type prefix = Ipaddr.V6.Prefix.t
       and type t = Ipv6_core.t

  (** Resolves when there is an address: after a second, when nobody has objected, or after three
      without one. It listens to the device meanwhile, and until somebody else does. [no_init]
      (default false) sends nothing, has no address, and resolves at once. [handle_ra] (default
      true): use router advertisements. *)
  val connect :
    ?no_init:bool ->
    ?handle_ra:bool ->
    ?cidr:Ipaddr.V6.Prefix.t ->
    ?gateway:Ipaddr.V6.t ->
    N.t ->
    E.t ->
    t Lwt.t
end
