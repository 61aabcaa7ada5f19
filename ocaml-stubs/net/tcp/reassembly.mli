(** Octets that arrived ahead of a gap.

    Kept in order and without overlap: where two segments overlap the octets that came first stay,
    and a segment is cut into what is new. The number of ranges is bounded, so that no peer can make
    insertion slow. *)

type t

val create : unit -> t

(** As {!Octets.compact}, view by view. *)
val compact : device:(Cstruct.buffer -> bool) -> t -> unit

val is_empty : t -> bool

(** Payload that is held. *)
val octets : t -> int

(** Number of separate views that hold it. *)
val views : t -> int

(** The number of octets that were new and are held now; 0 for a duplicate, or when the segment
    would make one more than [max_ranges] separate ranges. *)
val insert : t -> seq:Seq.t -> Cstruct.t -> max_ranges:int -> int

(** [pop t next f] hands the octets that follow [next] without a gap to [f], in order, and returns
    the sequence number behind them. What lies before [next] is dropped. *)
val pop : t -> Seq.t -> (Cstruct.t -> unit) -> Seq.t

(** The ranges held, left and right edge, ascending. *)
val ranges : t -> (Seq.t * Seq.t) list

(** [overlap t left right]: the first run of octets between [left] and [right] that is held. *)
val overlap : t -> Seq.t -> Seq.t -> (Seq.t * Seq.t) option

(** The range that this number is in. *)
val range_at : t -> Seq.t -> (Seq.t * Seq.t) option

val clear : t -> unit
