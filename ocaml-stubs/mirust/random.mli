(** Random bytes fit for keys.

    On Xen they come out of a generator (ChaCha20, whose key is replaced at each request) that is
    made from the CPU's random numbers, RDSEED and RDRAND, and from what the domain alone knows; on
    Unix they are the kernel's. They never run out. *)

(** Overwrites all of the buffer with random bytes. *)
val fill : bytes -> unit

(** [generate n] is [n] random bytes. *)
val generate : int -> string
