(** Memory that ends at a chosen allocation of OCaml's: with [Gc.Memprof], which sees each of them
    and may raise in its place. *)

(** [fails_at n f] runs [f], whose [n]th allocation, from 1, raises [Out_of_memory], and the others
    do not: whether [f] ended by that. It did not if there were fewer, or if [f] caught it. *)
val fails_at : int -> (unit -> unit) -> bool

(** The same if no allocation of [f] succeeds. *)
val fails : (unit -> unit) -> bool
