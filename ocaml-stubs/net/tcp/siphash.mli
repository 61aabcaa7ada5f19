(** SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short messages, for initial sequence
    numbers, ports and SYN cookies. *)

type key

(** From 16 random octets. *)
val key : string -> key

(** The low 62 bits of the hash. *)
val hash : key -> string -> int
