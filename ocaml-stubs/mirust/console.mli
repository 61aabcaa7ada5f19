(** The console, below [Stdlib]'s channels.

    [print_string] and [Format] end up here too, when their buffers are flushed. *)

(** Writes the bytes at once, after what is buffered in [stdout]. On Xen, who prints faster than the
    console's daemon reads is slowed down; if the daemon has stopped reading, the oldest output is
    lost, with a note of how much. *)
val write : string -> unit
