(** Congestion control: how many octets may be in flight.

    The algorithm grows {!cwnd} when octets are acknowledged and says what a loss makes of it; when
    losses are found, and when a loss turns out not to be one, is the business of {!Recovery}. *)

type algorithm = Cubic  (** RFC 9438 *) | New_reno  (** RFC 5681, 6582 *)
type t

(** Starts with the initial window of RFC 6928. *)
val create : algorithm -> mss:int -> t

val algorithm : t -> algorithm

(** Of RFC 6928: ten segments, in octets, for this segment size. *)
val initial_window : int -> int

(** The congestion window, in octets. *)
val cwnd : t -> int

(** For recovery, which drives the window itself (RFC 9937). At least one segment. *)
val set_cwnd : t -> int -> unit

(** The slow-start threshold, in octets; [max_int] before the first loss. *)
val ssthresh : t -> int

val in_slow_start : t -> bool

(** After a change of the path MTU. *)
val set_mss : t -> int -> unit

(** [octets] were newly acknowledged outside of recovery while the sender was limited by the window.
    [rtt]: the sample that came with it, in ns; 0 if there is none. *)
val acked : t -> now:int -> rtt:int -> octets:int -> unit

(** A loss or an ECN echo: at most once per round trip. Sets {!ssthresh}; recovery brings {!cwnd}
    down to it. *)
val congestion : t -> in_flight:int -> unit

(** A retransmission timeout: {!cwnd} is one segment. *)
val timeout : t -> in_flight:int -> unit

(** Our SYN or its answer was lost: the initial window is one segment (RFC 5681 section 3.1). *)
val handshake_loss : t -> unit

(** Nothing was sent for a whole retransmission timeout: restart from the initial window (RFC 5681
    section 4.1). *)
val idle : t -> unit

(** The state before a reduction. *)
type saved

val save : t -> saved

(** The reduction since [saved] was a mistake: cwnd and ssthresh are at least what they were. *)
val undo : t -> saved -> unit
