(** Forced collections, for when OCaml's own pace is too slow. *)

(** [Gc.full_major] without its side effect: OCaml 5 counts the work of a forced collection as done
    in advance, and starts no cycle of its own until as much has been allocated as would have
    required that work. After many forced collections the heap, and memory outside it that dead
    blocks hold, would grow without bound. *)
val full_major : unit -> unit
