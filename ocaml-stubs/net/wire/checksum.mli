(** The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit
    words.

    A {!sum} is built up from pieces (a pseudo-header, a header, fragments of payload) and closed by
    {!finish} or {!is_valid}. Nothing allocates. *)

(** A partial sum over the bytes seen so far. Non-negative; not folded to 16 bits. *)
type sum = private int

val zero : sum

(** [bytes s b] adds [b], whose first byte is the high byte of a word: what was added before must
    have had an even length. The last byte of an odd [b] is padded with a zero byte. *)
val bytes : sum -> Cstruct.t -> sum

(** [range s b off len] adds [len] bytes of [b] from [off] on, as {!bytes} does; for headers. *)
val range : sum -> Cstruct.t -> int -> int -> sum

(** Sets a faster function for buffers that are not small (for example one that uses the processor's
    vector registers): its result is {!fold} of {!bytes} of the buffer. *)
val use_for_large : (Cstruct.t -> int) -> unit

(** [twenty b off]: the sum of the twenty octets from [off] on. Raises [Invalid_argument] if they
    are not all there. *)
val twenty : Cstruct.t -> int -> sum

(** [fragments s l] adds the concatenation of [l]; each fragment may have any length. *)
val fragments : sum -> Cstruct.t list -> sum

(** [word s w] adds the 16-bit or 32-bit number [w]. *)
val word : sum -> int -> sum

(** The pseudo-header of TCP and UDP over IPv4 (RFC 9293 section 3.1). [len]: bytes of transport
    header and payload. *)
val pseudo_v4 : src:Ipaddr.V4.t -> dst:Ipaddr.V4.t -> proto:int -> len:int -> sum

(** The pseudo-header of RFC 8200 section 8.1. *)
val pseudo_v6 : src:Ipaddr.V6.t -> dst:Ipaddr.V6.t -> proto:int -> len:int -> sum

(** The sum folded to 16 bits, not complemented: what belongs in the checksum field of a packet
    whose checksum the device completes. *)
val fold : sum -> int

(** The value of the checksum field, 0 to 0xffff. The field itself must have counted as zero. *)
val finish : sum -> int

(** Whether a sum that includes the received checksum field comes out right. *)
val is_valid : sum -> bool
