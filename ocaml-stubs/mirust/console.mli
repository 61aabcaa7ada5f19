(** The console, below [Stdlib]'s channels.

    [print_string] and [Format] end up here too, when their buffers are flushed. *)

(** Writes the bytes at once, after what is buffered in [stdout]. Never blocks for long: what a full
    console ring does not take within the platform's patience is dropped, and counted. *)
val write : string -> unit
