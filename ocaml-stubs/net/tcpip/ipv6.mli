(** IPv6 over any Mirage network device and Ethernet layer. *)

module Make (N : Mirust_mirage_types.Mirage_net.S) (E : Mirust_mirage_types.Ethernet.S) : sig
  include
    Mirust_mirage_types.Ip_ext.S
      with type ipaddr = Ipaddr.V6.t
       and type prefix = Ipaddr.V6.Prefix.t
       and type t = Ipv6_core.t

  (** Resolves at once. Addresses are usable a second later, when nobody has objected; received
      packets must come in by [input] meanwhile. [no_init] (default false) sends nothing and has no
      address. [handle_ra] (default true): use router advertisements. *)
  val connect :
    ?no_init:bool ->
    ?handle_ra:bool ->
    ?cidr:Ipaddr.V6.Prefix.t ->
    ?gateway:Ipaddr.V6.t ->
    N.t ->
    E.t ->
    t Lwt.t
end
