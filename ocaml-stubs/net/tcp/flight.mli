(** What has been sent and not yet been acknowledged, in order of sequence numbers, with what the
    peer's selective acknowledgements (RFC 2018) say of it.

    A {!piece} is what was sent at one time: one segment, or several that the device cut (GSO). A
    piece is split where an acknowledgement, a selective one or a retransmission needs it. *)

type piece = {
  mutable seq : Seq.t;
  mutable len : int;  (** octets of payload *)
  mutable syn : bool;
  mutable fin : bool;
  mutable payload : Cstruct.t list;
  mutable sent_at : int;  (** ns; of the last transmission *)
  mutable sends : int;  (** how often it was sent *)
  mutable sacked : bool;
  mutable lost : bool;  (** taken to be lost, and not sent again since *)
}

type t

val create : unit -> t
val is_empty : t -> bool

(** Number of pieces. *)
val count : t -> int

(** The [i]th piece, from 0 for the oldest. *)
val get : t -> int -> piece

(** Octets of sequence space: SYN and FIN count as one. *)
val seq_length : piece -> int

val seq_end : piece -> Seq.t

(** Adds a piece that has just been sent; it follows the last one. *)
val push : t -> piece -> unit

(** Octets that are believed to be under way ("pipe" of RFC 6675): neither acknowledged, nor lost.
*)
val in_network : t -> int

(** Octets that are selectively acknowledged. *)
val sacked : t -> int

(** Octets that are taken to be lost and wait to be sent again. *)
val lost : t -> int

(** Index of the first piece that ends after this number; {!count} when there is none. *)
val find : t -> Seq.t -> int

(** [split t i n] cuts the [i]th piece after its first [n] octets of payload, [0 < n < len]. *)
val split : t -> int -> int -> unit

(** [acknowledge t ackno f] takes away all before [ackno], calls [f] for each piece as it goes, and
    returns the number of octets of payload among them. *)
val acknowledge : t -> Seq.t -> (piece -> unit) -> int

val mark_sacked : t -> piece -> unit
val mark_lost : t -> piece -> unit

(** The piece has been sent again. *)
val mark_sent : t -> piece -> now:int -> unit

(** The peer may have dropped what it acknowledged selectively (RFC 2018 section 8). *)
val forget_sacks : t -> unit

(** What was taken to be lost is under way after all. *)
val forget_losses : t -> unit

(** Octets of payload. *)
val octets : t -> int

(** Whether it holds one piece, of at most so many octets. *)
val octets_at_most : t -> int -> bool

(** Empties it; the connection is gone. *)
val drop_all : t -> unit

(** [take views n] divides the octets of [views] after the first [n]. *)
val take : Cstruct.t list -> int -> Cstruct.t list * Cstruct.t list
