(** What OCaml and Rust tell each other in every turn of the loop, most of it without a call:
    through words of memory that both read and write ([ffi/src/turn.rs]). For the libraries of this
    repository. *)

(** When OCaml's part of this turn began: in nanoseconds since boot, never later than
    {!Mclock.elapsed_ns}. After {!forget}, after {!run} if tasks have run, and for what a Rust task
    calls inside a poll, when this was first asked. *)
val now : unit -> int

(** Has the next {!now} read the clock: for after code that may have taken long. *)
val forget : unit -> unit

(** Whether there were completions to collect at that time. *)
val completions : unit -> bool

(** [wake token] tells Rust that what it waits for by this token is worth a retry. Its task has a
    turn in {!run}, or in the poll. *)
val wake : int -> unit

(** Makes the next {!run} give Rust's tasks a turn. *)
val ask : unit -> unit

(** Gives Rust's tasks a turn, if there was a reason since the last time: [true] if so. What they
    have given OCaml to do, the caller looks for. [interlude] is called in between if they are many,
    and must not raise. *)
val run : interlude:(unit -> unit) -> bool

(** Ends OCaml's part of the turn, as the poll does: whoever is woken is told, and what was sent
    goes out. For a loop that does not poll again. *)
val finish : unit -> unit
