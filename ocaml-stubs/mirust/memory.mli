(** The size of the domain's memory, which the toolstack can change ([xl mem-set]).

    The domain gives back what is not in use, and takes what it is given, up to [maxmem]. In a Linux
    process none of these is ever called. *)

(** [bytes] is how much memory the runtime manages now. [short] is how much more should be given
    back but is still in use. *)
type resized = { bytes : int; short : int }

(** [on_resize f] calls [f resized] after each change, and when memory should be given back that is
    in use: the heap has been compacted then, and what [f] releases is given back. Functions are
    called in the order of their registration. An exception is logged. *)
val on_resize : (resized -> unit) -> unit
