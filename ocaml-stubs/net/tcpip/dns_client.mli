(** Resolves names to addresses, over any stack. *)

module type S = sig
  type stack
  type t

  (** [nameservers] is called for each new name, as DHCP or router advertisements may change them.
  *)
  val create :
    ?config:Mirust_net_engine.Dns_engine.config -> nameservers:(unit -> Ipaddr.t list) -> stack -> t

  type error = [ Mirust_net_engine.Dns_engine.failure | `Msg of string ]

  val pp_error : error Fmt.t

  (** Every address of one kind. *)
  val resolve :
    t ->
    [ `host ] Domain_name.t ->
    Mirust_wire.Dns.kind ->
    (Ipaddr.t list, Mirust_net_engine.Dns_engine.failure) result Lwt.t

  (** The first address. *)
  val gethostbyname :
    t -> [ `host ] Domain_name.t -> (Ipaddr.V4.t, [> `Msg of string ]) result Lwt.t

  (** The first IPv6 address. *)
  val gethostbyname6 :
    t -> [ `host ] Domain_name.t -> (Ipaddr.V6.t, [> `Msg of string ]) result Lwt.t
end

module Make (Stack : Mirust_mirage_types.Tcpip.Stack.V4V6) : S with type stack = Stack.t

(** How to listen on a port for one peer only, and whether nobody does: {!Udp.Make.listen_to},
    {!Udp.Make.is_free}. *)
module type Listen = sig
  type udp
  type callback

  val listen : udp -> port:int -> peer:Ipaddr.t * int -> callback -> unit
  val is_free : udp -> port:int -> bool
end

(** The same, with ports that are open only to the server that was asked (RFC 5452 section 9.1), so
    that they cannot be found by probing either. *)
module Make_bound
    (Stack : Mirust_mirage_types.Tcpip.Stack.V4V6)
    (_ : Listen with type udp = Stack.UDP.t and type callback = Stack.UDP.callback) :
  S with type stack = Stack.t
