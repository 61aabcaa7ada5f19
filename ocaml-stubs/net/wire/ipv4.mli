(** IPv4 headers (RFC 791). *)

(** 20 bytes. *)
val min_header_length : int

(** Bytes of the longest packet, header included: 65535. *)
val max_length : int

type t = {
  src : Ipaddr.V4.t;
  dst : Ipaddr.V4.t;
  proto : int;
  ttl : int;
  tos : int;  (** differentiated services (RFC 2474) and ECN (RFC 3168) *)
  id : int;
  dont_fragment : bool;
  more_fragments : bool;
  fragment_offset : int;  (** bytes, a multiple of 8 *)
  options : Cstruct.t;  (** a multiple of 4 bytes, at most 40; not interpreted *)
  payload_length : int;  (** bytes after the header, from the total length field *)
}

type error =
  | Truncated  (** shorter than the header, or than the total length field says *)
  | Bad_version of int
  | Bad_header_length of int  (** below 20 bytes, or above the total length *)
  | Bad_checksum
  | Bad_fragment  (** would reach beyond 65535 bytes, or a middle piece not a multiple of 8 *)

val pp_error : error Fmt.t
val pp : t Fmt.t

(** Header of the packet at the start of the view; bytes beyond its total length (Ethernet padding)
    are allowed. The header checksum is verified. *)
val parse : Cstruct.t -> (t, error) result

val header_length : t -> int

(** [payload t b], for the view [b] that {!parse} accepted: without the header and without padding.
*)
val payload : t -> Cstruct.t -> Cstruct.t

val is_fragment : t -> bool

(** Writes the header with its checksum to the first [header_length t] bytes. Raises
    [Invalid_argument] if a field is out of range. *)
val emit : t -> Cstruct.t -> unit

(** The header quoted in an ICMP error: neither checksum nor presence of the whole payload is
    required. *)
val header_of_packet : Cstruct.t -> (t, error) result

(** {1 Without allocation}

    The header of a packet without options that is no fragment, at byte [at] of a view. Addresses as
    {!Field.int_of_v4} gives them. *)

(** The packet's bytes, header included, if {!parse} would accept it and it is such a packet; else
    -1. *)
val plain_length : Cstruct.t -> at:int -> int

(** The fields of a packet that has a {!plain_length}. *)

val get_tos : Cstruct.t -> at:int -> int
val get_proto : Cstruct.t -> at:int -> int
val get_src : Cstruct.t -> at:int -> int
val get_dst : Cstruct.t -> at:int -> int

(** Writes the header of a packet of [total] bytes. *)
val emit_plain :
  src:int ->
  dst:int ->
  proto:int ->
  ttl:int ->
  tos:int ->
  id:int ->
  dont_fragment:bool ->
  total:int ->
  Cstruct.t ->
  at:int ->
  unit

(** {1 Fields in place}

    For a view of at least {!min_header_length} bytes. *)

val set_total_length : Cstruct.t -> int -> unit
val set_id : Cstruct.t -> int -> unit

(** Computes the header checksum and writes it. *)
val set_checksum : Cstruct.t -> header_length:int -> unit
