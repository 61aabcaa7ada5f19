(** Collections by force, where OCaml's own pace is too slow. *)

(** [Gc.full_major], without its aftermath: OCaml 5 counts the work of a forced collection as done
    in advance, and begins no cycle of its own before as much has been allocated as would have
    called for it. After many forced ones the heap, and memory outside of it that dead blocks hold,
    would grow without end. *)
val full_major : unit -> unit
