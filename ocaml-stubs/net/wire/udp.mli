(** UDP (RFC 768). *)

(** 8 bytes. *)
val header_length : int

type t = {
  src_port : int;
  dst_port : int;
  length : int;  (** bytes, header and payload *)
  checksum : int;  (** as received; 0: the sender computed none *)
}

type error =
  | Truncated  (** shorter than the header, or than the length field says *)
  | Bad_length of int  (** the length field is below {!header_length} *)

val pp_error : error Fmt.t
val pp : t Fmt.t

(** Bytes beyond the length field are allowed and are not part of the datagram. The checksum is not
    verified: see {!verify}. *)
val parse : Cstruct.t -> (t, error) result

val payload : t -> Cstruct.t -> Cstruct.t

(** [verify ~pseudo t b] checks the datagram's checksum. [pseudo] must have been built with
    [t.length]. A checksum of zero passes; IPv6 forbids it (RFC 8200 section 8.1), which is for the
    caller to check. *)
val verify : pseudo:Checksum.sum -> t -> Cstruct.t -> bool

(** Writes the header. [payload] is what will follow, for the length and the checksum; without
    [pseudo] the checksum field is zero. *)
val emit :
  src_port:int ->
  dst_port:int ->
  ?pseudo:Checksum.sum ->
  payload:Cstruct.t list ->
  Cstruct.t ->
  unit
