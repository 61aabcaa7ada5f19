(** The address resolution layer. *)

module type S = sig
  type t

  val disconnect : t -> unit Lwt.t

  type error = private [> `Timeout ]

  val pp_error : error Fmt.t

  (** The cache. *)
  val pp : t Fmt.t

  val get_ips : t -> Ipaddr.V4.t list
  val set_ips : t -> Ipaddr.V4.t list -> unit Lwt.t
  val remove_ip : t -> Ipaddr.V4.t -> unit Lwt.t

  (** Announces the address and answers requests for it. *)
  val add_ip : t -> Ipaddr.V4.t -> unit Lwt.t

  (** From the cache, or by asking the link; [`Timeout] when nobody answered. *)
  val query : t -> Ipaddr.V4.t -> (Macaddr.t, error) result Lwt.t

  val input : t -> Cstruct.t -> unit Lwt.t
end
