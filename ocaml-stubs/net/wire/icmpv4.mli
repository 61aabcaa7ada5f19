(** ICMP for IPv4 (RFC 792, RFC 1191). *)

(** 8 bytes. *)
val header_length : int

type unreachable =
  | Network
  | Host
  | Protocol
  | Port
  | Fragmentation_needed of int
      (** bytes of the next hop's MTU; 0 from routers older than RFC 1191 *)
  | Unreachable_code of int

type t =
  | Echo_request of { id : int; seq : int; data : Cstruct.t }
  | Echo_reply of { id : int; seq : int; data : Cstruct.t }
  | Unreachable of { reason : unreachable; quoted : Cstruct.t }
      (** [quoted]: the start of the packet at fault, from its IP header on *)
  | Time_exceeded of { reassembly : bool; quoted : Cstruct.t }
  | Parameter_problem of { pointer : int; quoted : Cstruct.t }
  | Redirect of { gateway : Ipaddr.V4.t; quoted : Cstruct.t }

type error = Truncated | Bad_checksum | Unknown_type of { kind : int; code : int }

val pp_error : error Fmt.t
val pp : t Fmt.t

(** A message that fills the view. The checksum is verified. *)
val parse : Cstruct.t -> (t, error) result

val length : t -> int

(** Writes the whole message, [length t] bytes, with its checksum. *)
val emit : t -> Cstruct.t -> unit
