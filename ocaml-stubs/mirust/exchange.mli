(** What OCaml and Rust tell each other in every turn of the loop, most of it without a call:
    through words of memory that both read and write ([ffi/src/turn.rs]). For the libraries of this
    repository. *)

(** The time, in nanoseconds since boot, when OCaml's part of this turn began, or when Rust's tasks
    last ran in it; never later than {!Mclock.elapsed_ns}. After {!forget}, and in what a Rust task
    calls inside a poll, the time of the first call of [now] instead. *)
val now : unit -> int

(** Makes the next {!now} read the clock. To be called after code that may have taken long. *)
val forget : unit -> unit

(** Whether there were completions to collect at that time. *)
val completions : unit -> bool

(** [wake token] tells Rust that whatever waits for this token should try again. Its task runs in
    {!run}, or in the poll. *)
val wake : int -> unit

(** Makes the next {!run} give Rust's tasks a turn. *)
val ask : unit -> unit

(** Gives Rust's tasks a turn if there was a reason since the last time; [true] if so. Afterwards
    the caller has to look for what they have given OCaml to do. If there are many tasks,
    [interlude] is called in between; it must not raise. *)
val run : interlude:(unit -> unit) -> bool

(** Ends OCaml's part of the turn, as the poll does: wakes the tasks whose tokens were given, and
    what was sent goes out. For a loop that does not poll again. *)
val finish : unit -> unit
