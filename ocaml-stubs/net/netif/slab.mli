(** Small buffers cut out of large ones.

    A Bigarray costs an allocation outside the OCaml heap and a finaliser; a view into one costs
    four words. The slab lives as long as one of its buffers does. *)

type t

(** The size of a slab in bytes. *)
val create : int -> t

(** A buffer with any content that nothing else uses; it starts at a multiple of 8 bytes. Requests
    above a quarter of the slab get a Bigarray of their own. *)
val alloc : t -> int -> Cstruct.t
