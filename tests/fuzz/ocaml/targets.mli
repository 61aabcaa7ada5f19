(** What a fuzzer may feed, by name. Each target takes any bytes; it raises if something is wrong,
    and has no other result. *)

val all : (string * (string -> unit)) list
