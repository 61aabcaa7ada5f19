(** Responses (RFC 1035 section 4.1). *)

(** {1 Codes} *)

val format_error : int
val server_failure : int
val not_implemented : int
val refused : int

(** Of an extension whose version is not known (RFC 6891 section 6.1.3). *)
val bad_version : int

(** {1 Messages} *)

(** What follows the question: one for all who ask the same, in whatever letters. *)
type body

(** Bytes of its records. *)
val size : body -> int

(** The body of an answer for a name, from what the zone gave ([dns_lookup]): names that stand in
    the message already, the question's among them, become pointers (section 4.1.4). *)
val body : name:string -> string -> body

(** A body without records. *)
val empty : rcode:int -> body

(** Bytes that a datagram of ours has at most: what fits in any IPv6 packet. *)
val max_datagram : int

(** A response of at most [limit] bytes. What does not fit goes: the additional records silently; if
    that is not enough everything, and the message says that it is truncated. *)
val message : limit:int -> Query.header -> Query.question -> Query.edns option -> body -> Cstruct.t

(** A response that repeats no question. *)
val failure : Query.header -> rcode:int -> Cstruct.t
