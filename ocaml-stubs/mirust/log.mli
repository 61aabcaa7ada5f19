(** [Logs] on the console, in the same lines as Rust's [log]:

    {v [    0.012345] WARN  source: message v}

    with the seconds since boot, the level, and the source's name. {!Mirust} sets the reporter up
    when the program starts; the level is [Info] until {!set_level} or the boot parameter
    {!Bootvar.logs} says otherwise. A message that repeats the one before it more than eight times
    within a second is counted instead: [last message repeated 98 more times]. *)

(** The reporter. A header and tags go in front of the message; [App] messages are shown as [INFO],
    whatever the level. *)
val reporter : unit -> Logs.reporter

(** Sets the level of both languages; [None] silences them. *)
val set_level : Logs.level option -> unit

(**/**)

val install : unit -> unit

(** Sets Rust's level to the current level of [Logs], if that has changed: for programs in which
    another library sets it. *)
val follow : unit -> unit
