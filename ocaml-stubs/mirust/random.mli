(** Random bytes fit for keys.

    On Xen they come from a generator (ChaCha20, with a new key after each request) that is seeded
    from the CPU's random numbers, RDSEED and RDRAND, and from data unique to the domain; on Unix
    they are the kernel's. They never run out. *)

(** Overwrites all of the buffer with random bytes. *)
val fill : bytes -> unit

(** [generate n] is [n] random bytes. *)
val generate : int -> string
