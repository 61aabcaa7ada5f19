(** Ethernet II frames (RFC 894), without the frame check sequence. An IEEE 802.1Q tag is skipped if
    it carries only a priority (VLAN 0); frames of any other VLAN are of an unknown ethertype. *)

(** 14 bytes. *)
val header_length : int

type proto = [ `ARP | `IPv4 | `IPv6 ]
type t = { source : Macaddr.t; destination : Macaddr.t; proto : proto }

type error =
  | Truncated  (** fewer than {!header_length} bytes *)
  | Unknown_ethertype of int  (** neither ARP, IPv4 nor IPv6; below 0x600 an IEEE 802.3 length *)

val pp_error : error Fmt.t
val pp : t Fmt.t
val parse : Cstruct.t -> (t, error) result

(** What follows the header of a frame that {!parse} accepted. Short frames carry padding there. *)
val payload : Cstruct.t -> Cstruct.t

(** Writes the header to the first {!header_length} bytes. *)
val emit : t -> Cstruct.t -> unit

(** The last header, with its octets: most frames go to the same station as the one before. *)
type last

val last : source:Macaddr.t -> last

(** {!emit} from that source, which copies the octets if destination (the very value) and protocol
    are those of the call before. *)
val emit_like : last -> destination:Macaddr.t -> proto -> Cstruct.t -> unit

val ethertype : proto -> int

(** {1 Without allocation}

    For a frame of at least {!header_length} bytes. *)

val get_ethertype : Cstruct.t -> int

(** [None] also of a frame that is too short. *)
val proto : Cstruct.t -> proto option

(** Whether the destination is a group address (broadcast included). *)
val is_group : Cstruct.t -> bool

(** Whether the destination is the address that {!Field.mac_number} gives as this number, or a group
    address (broadcast included) and the source another: some networks give their stations back what
    they have sent to all. *)
val is_for_station : int -> Cstruct.t -> bool

(** Whether an untagged frame of IPv4 is for the address that {!Field.mac_number} gives as this
    number; false for groups, and for a frame that is too short. The payload is at {!header_length}.
*)
val is_plain_ipv4 : int -> Cstruct.t -> bool

(** Where {!payload} starts. *)
val payload_start : Cstruct.t -> int
