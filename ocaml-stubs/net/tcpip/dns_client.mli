(** Names to addresses, over any stack. *)

module Make (S : Mirust_mirage_types.Tcpip.Stack.V4V6) : sig
  type t

  (** [nameservers] is asked for each new name: what DHCP or router advertisements said may change.
  *)
  val create :
    ?config:Mirust_net_engine.Dns_engine.config -> nameservers:(unit -> Ipaddr.t list) -> S.t -> t

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

  val gethostbyname6 :
    t -> [ `host ] Domain_name.t -> (Ipaddr.V6.t, [> `Msg of string ]) result Lwt.t
end
