(** The size of the domain's memory, which the toolstack can change ([xl mem-set]).

    The domain gives back what is not in use, and takes what it is given, up to [maxmem]. In a Linux
    process none of these is ever called. *)

(** [bytes] is how much the runtime manages now. [short] is what ought to be given back, too, and is
    in use. *)
type resized = { bytes : int; short : int }

(** [on_resize f] has [f resized] called after each change, the one that was registered first first,
    and when memory ought to be given back that is in use: what is let go of is given back then. The
    heap has been compacted in that case. An exception is logged. *)
val on_resize : (resized -> unit) -> unit
