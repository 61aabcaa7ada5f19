(** Round-trip time and retransmission timeout (RFC 6298). All times in ns. *)

type t

(** [initial]: the timeout before the first sample. *)
val create : initial:int -> min:int -> max:int -> t

(** A measured round trip, of a segment that was sent once or by its timestamp. Nothing else ends
    the back-off (Karn's algorithm). *)
val sample : t -> int -> unit

(** Smoothed round-trip time; 0 before the first sample. *)
val srtt : t -> int

(** Mean deviation. *)
val var : t -> int

(** The least sample of about the last 10 s to 20 s; [max_int] before the first. *)
val min_rtt : t -> int

(** Lets samples of [min_rtt] older than its window go. *)
val aged : t -> now:int -> unit

(** The retransmission timeout, backed off. *)
val timeout : t -> int

(** Doubles the timeout (rule 5.5), up to the maximum. *)
val back_off : t -> unit

(** After a handshake whose SYN was lost: no back-off, and until the first sample at least this
    timeout (rule 5.7). *)
val restart : t -> initial:int -> unit
