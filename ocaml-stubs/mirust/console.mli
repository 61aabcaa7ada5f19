(** The console, below [Stdlib]'s channels.

    [print_string] and [Format] end up here too, when their buffers are flushed. *)

(** Writes the bytes at once, after flushing [stdout]. Writing never waits: if the console daemon
    reads more slowly than the program prints, output is buffered, and beyond the buffer's size the
    oldest output is lost, with a note of how much. *)
val write : string -> unit
