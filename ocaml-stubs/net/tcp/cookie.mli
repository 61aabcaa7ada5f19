(** SYN cookies (RFC 4987 section 3.6): an initial sequence number that lets us forget a SYN, and
    believe the acknowledgement of our answer all the same.

    It holds 5 bits of a slow clock, 3 for the segment size, and 24 of a keyed hash over these, the
    connection's name and the peer's number. Options travel in the low 5 bits of our timestamp,
    which the peer echoes: its window scale (15: none) in 4, SACK in 1. *)

(** How long a cookie is believed, at most, in ns. *)
val life : int

(** [make key ~now ~name ~peer_seq ~mss]: the sequence number of a SYN-ACK. [name]: addresses and
    ports in some fixed form. [mss]: the peer's; the next smaller one of eight is kept. *)
val make : Siphash.key -> now:int -> name:string -> peer_seq:Seq.t -> mss:int -> Seq.t

(** The segment size, if [cookie] is one of ours and not too old. *)
val check : Siphash.key -> now:int -> name:string -> peer_seq:Seq.t -> Seq.t -> int option

(** [stamp options ~timestamp] is the latest timestamp up to [timestamp] that carries the peer's
    options: not later, as the peer would take what follows for old. *)
val stamp : Mirust_wire.Tcp.options -> timestamp:int -> int

(** The window scale ([-1]: none) and SACK from an echoed timestamp. *)
val unstamp : int -> int * bool
