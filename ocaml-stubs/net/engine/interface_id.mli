(** The last 64 bits of IPv6 addresses that are not configured. *)

type t =
  | Modified_eui64  (** from the station's MAC address, which is thereby public (RFC 4291) *)
  | Stable of string
      (** a hash of this secret, the network and the MAC (RFC 7217): the same on the same network
          while the secret is the same, and meaningless to others *)

(** [address t mac prefix ~counter]: the station's address in a network, whose first 64 bits are
    those of [prefix]. [counter] chooses among the possible ones, if there is a choice: 0 for the
    first. *)
val address : t -> Macaddr.t -> Ipaddr.V6.t -> counter:int -> Ipaddr.V6.t
