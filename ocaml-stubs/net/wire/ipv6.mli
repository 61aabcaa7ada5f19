(** IPv6 headers and extension headers (RFC 8200). *)

(** 40 bytes, extension headers not counted. *)
val header_length : int

type t = {
  src : Ipaddr.V6.t;
  dst : Ipaddr.V6.t;
  traffic_class : int;  (** differentiated services and ECN *)
  flow_label : int;
  next_header : int;
  hop_limit : int;
  payload_length : int;  (** bytes after the fixed header, extension headers included *)
}

type error =
  | Truncated  (** shorter than the header, or than the payload length field says *)
  | Bad_version of int

val pp_error : error Fmt.t
val pp : t Fmt.t

(** Header of the packet at the start of the view; padding after the packet is allowed. *)
val parse : Cstruct.t -> (t, error) result

val payload : t -> Cstruct.t -> Cstruct.t

(** Writes the first {!header_length} bytes. Raises [Invalid_argument] if [payload_length] is out of
    range. *)
val emit : t -> Cstruct.t -> unit

(** The header quoted in an ICMPv6 error: the payload may be missing. *)
val header_of_packet : Cstruct.t -> (t, error) result

(** {1 Extension headers} *)

type fragment = {
  id : int;  (** 32 bits *)
  offset : int;  (** bytes, a multiple of 8 *)
  more : bool;
}

type upper = {
  proto : int;  (** 59, "no next header", included *)
  data : Cstruct.t;  (** upper-layer header and payload, or the fragment's piece of it *)
  fragment : fragment option;
      (** with [Some _], [data] is a piece of the fragmentable part, which starts with a header of
          type [proto] *)
  router_alert : bool;  (** RFC 2711, in the hop-by-hop options *)
}

(** Why the chain of extension headers cannot be followed to an upper layer. [offset] is in bytes
    from the start of the IPv6 header: the pointer of a Parameter Problem message. *)
type chain_error =
  | Chain_truncated
  | Too_many_headers  (** more than eight: nobody needs them, and each costs work *)
  | Misplaced_hop_by_hop of int  (** allowed only first; offset of the naming field *)
  | Unknown_option of { offset : int; report : [ `No | `Unicast | `Always ] }
      (** its high bits say: discard, and [report] (always, or unless sent to a group) *)
  | Unknown_routing of int  (** a routing type with segments left; offset of the type field *)
  | Bad_fragment_length of int
      (** a middle piece not a multiple of 8; offset of the length field *)

val pp_chain_error : chain_error Fmt.t

(** [follow ~next_header ~offset b] walks the headers in [b], which starts [offset] bytes into the
    packet with a header of type [next_header]. *)
val follow : next_header:int -> offset:int -> Cstruct.t -> (upper, chain_error) result

(** 8 bytes. *)
val fragment_header_length : int

(** Writes the first {!fragment_header_length} bytes. *)
val emit_fragment : next_header:int -> fragment -> Cstruct.t -> unit
