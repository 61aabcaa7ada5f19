(** Whether the user of a connection answers what the peer sends, and how soon: if so, the answer
    can carry the acknowledgement, which saves a segment (RFC 1122 section 4.2.3.2, RFC 9293 section
    3.8.6.3).

    It is learned, not configured: after a few exchanges in a row in which one piece of data, pushed
    by the peer, was answered by data within {!longest} before more came, the next acknowledgement
    waits a few times as long as the answers took. An answer that does not come in that time ends
    the habit for a while, and so does a peer that sends more before it has an answer: it may be
    waiting for our acknowledgement (Nagle's algorithm). *)

type t

val create : unit -> t

(** Answers that take longer, in ns, make no habit. *)
val longest : int

(** The peer has pushed data. [now], here and below: ns. *)
val asked : t -> now:int -> unit

(** The user's data is sent. *)
val answered : t -> now:int -> unit

(** The acknowledgement has waited, and no answer has come. *)
val missed : t -> unit

(** How long the acknowledgement of pushed data may wait for the answer, in ns, at most [most]; 0:
    not at all. *)
val patience : t -> most:int -> int
