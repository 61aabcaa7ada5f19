(** What has been sent but not yet acknowledged, in order of sequence numbers, with what the peer's
    selective acknowledgements (RFC 2018) say about it.

    A {!piece} is what was sent at one time: one segment, or several that the device cut (GSO). A
    piece is split where an acknowledgement, a selective one or a retransmission needs it.

    A peer can have thousands of pieces marked, and acknowledge them one at a time: no operation
    that an acknowledgement needs looks at all of them. Each takes constant time, or time
    logarithmic in what was lost or selectively acknowledged, or walks over pieces that are never
    walked over again. *)

type piece = private {
  mutable seq : Seq.t;
  mutable len : int;  (** octets of payload *)
  syn : bool;
  mutable fin : bool;
  mutable payload : Cstruct.t list;
  mutable sent_at : int;  (** ns; of the last transmission *)
  mutable sends : int;  (** how often it was sent; 0 once it is out of flight *)
  mutable sacked : bool;
  mutable lost : bool;  (** taken to be lost, and not sent again since *)
  mutable next : piece;  (** the one behind it; {!none} behind the last *)
}

(** Stands for no piece; compare with [==]. *)
val none : piece

type t

val create : unit -> t

(** As {!Octets.compact}. *)
val compact : device:(Cstruct.buffer -> bool) -> t -> unit

val is_empty : t -> bool

(** Number of pieces. *)
val count : t -> int

(** The oldest, and the latest; {!none} when empty. *)
val first : t -> piece

val last : t -> piece

(** From the oldest to the latest. *)
val iter : t -> (piece -> unit) -> unit

(** Octets of sequence space: SYN and FIN count as one. *)
val seq_length : piece -> int

val seq_end : piece -> Seq.t

(** Adds a piece that is being sent; it follows the last one. *)
val add : t -> seq:Seq.t -> len:int -> syn:bool -> fin:bool -> Cstruct.t list -> now:int -> piece

(** Octets that are believed to be under way ("pipe" of RFC 6675): neither acknowledged, nor lost.
*)
val in_network : t -> int

(** Octets that are selectively acknowledged. *)
val sacked : t -> int

(** Octets that are taken to be lost and wait to be sent again. *)
val lost : t -> int

(** The first piece that ends after this number, or {!none}. *)
val find : t -> Seq.t -> piece

(** [split t p n] cuts [p] after its first [n] octets of payload, [0 < n < len], and gives what is
    behind. *)
val split : t -> piece -> int -> piece

(** [acknowledge t ackno f x y] takes away all before [ackno], calls [f x y] for each piece as it
    goes, and returns the number of octets of payload among them. With [x] and [y] the function
    needs no closure. *)
val acknowledge : t -> Seq.t -> ('x -> 'y -> piece -> unit) -> 'x -> 'y -> int

val mark_sacked : t -> piece -> unit
val mark_lost : t -> piece -> unit

(** The piece has been sent again. *)
val mark_sent : t -> piece -> now:int -> unit

(** The end of the run of selectively acknowledged octets that this number is in, or else the number
    itself. *)
val run_end : t -> Seq.t -> Seq.t

(** The beginning of the next such run behind this number, if there is one before [limit]; else
    [limit]. *)
val run_after : t -> Seq.t -> limit:Seq.t -> Seq.t

(** Of the pieces that are taken to be lost the first; {!none} if there are none. *)
val first_lost : t -> piece

(** Of the pieces under way that were sent once the first, which is the one that was sent first;
    {!none} if there are none. *)
val oldest_original : t -> piece

(** Of the pieces under way that were sent again the one for which that was first. *)
val oldest_resent : t -> piece

(** The peer may have dropped what it acknowledged selectively (RFC 2018 section 8). *)
val forget_sacks : t -> unit

(** What was taken to be lost is under way after all. *)
val forget_losses : t -> unit

(** Octets of payload. *)
val octets : t -> int

(** Whether it holds one piece, of at most that many octets. *)
val octets_at_most : t -> int -> bool

(** Empties it; the connection is gone. *)
val drop_all : t -> unit

(** [part views ~off n] is the [n] octets of [views] from [off] on, which lies in the first view. *)
val part : Cstruct.t list -> off:int -> int -> Cstruct.t list

(** [take views n] divides the octets of [views] after the first [n]. *)
val take : Cstruct.t list -> int -> Cstruct.t list * Cstruct.t list
