(** ARP for IPv4 over Ethernet (RFC 826). *)

(** 28 bytes. *)
val length : int

type operation = Request | Reply

type t = {
  operation : operation;
  sender_mac : Macaddr.t;
  sender_ip : Ipaddr.V4.t;
  target_mac : Macaddr.t;  (** meaningless in a request *)
  target_ip : Ipaddr.V4.t;
}

type error =
  | Truncated
  | Unsupported  (** other hardware or protocol than Ethernet and IPv4, or other address lengths *)
  | Unknown_operation of int

val pp_error : error Fmt.t
val pp : t Fmt.t
val equal : t -> t -> bool

(** Bytes after {!length} (Ethernet padding) are ignored. *)
val parse : Cstruct.t -> (t, error) result

(** Writes the first {!length} bytes. *)
val emit : t -> Cstruct.t -> unit
