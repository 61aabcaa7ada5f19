(** Entropy from the processor's hardware generator (RDSEED, or RDRAND where that is all there is;
    on Unix: the kernel's).

    It is meant for seeds: of a cryptographic generator, of hash tables, of sequence numbers. There
    is no generator of our own between the hardware and the caller. *)

(** The machine has no hardware generator, or it failed repeatedly. *)
exception No_entropy

(** Overwrites all of the buffer with random bytes.

    @raise No_entropy rather than leave the buffer with anything less. *)
val fill : bytes -> unit

(** [generate n] is [n] random bytes.

    @raise No_entropy as {!fill} does. *)
val generate : int -> string
