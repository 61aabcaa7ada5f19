(** The event loop, which runs OCaml's promises and, through the domain poll, everything else.

    One turn collects Rust's completions, wakes paused promises and due sleepers, runs the Rust
    tasks that this has woken, and polls. The poll handles events, runs Rust tasks, and blocks only
    when neither language has anything to do. *)

(** [run main] runs the loop until [main] is resolved, then runs the {!at_exit} hooks, and returns.
    When the program's toplevel ends after that, the domain powers off.

    If Rust owns the program's main function ([mirust::main!]), [run main] returns at once: it only
    registers [main], and Rust's loop drives this one by {!step}. The hooks then run when [main] is
    resolved.

    @raise Invalid_argument
      if the loop is already running: inside it, await a promise instead of calling [run]. An
      exception in [main] is raised by [run], after the hooks; uncaught, it ends the domain as
      crashed. *)
val run : unit Lwt.t -> unit

(** One turn without its poll: does what is due in OCaml, and returns the time at which it wants to
    be called again, in nanoseconds since boot: [0L] for at once, [Int64.max_int] for only when
    something happens. Called by Rust's loop (as the callback ["mirust_step"]). *)
val step : unit -> int64

(** [at_exit f] makes the loop await [f ()] after the main promise; the last one registered runs
    first. An exception is logged, and the others still run. *)
val at_exit : (unit -> unit Lwt.t) -> unit

(** For [Stdlib.at_exit], in programs that call [exit] while the loop runs: runs it until the
    {!at_exit} hooks that have not run yet are done. *)
val run_exit_hooks : unit -> unit

(** [at_enter_iter f] runs [f ()] at the start of each turn, until the program ends. *)
val at_enter_iter : (unit -> unit) -> unit

(** [at_leave_iter f] runs [f ()] at the end of each turn, before the poll that may block. If it
    wakes something, the poll does not block. *)
val at_leave_iter : (unit -> unit) -> unit

(** [at_interlude f] runs [f ()] in turns in which many Rust tasks are ready, after the first of
    them have run: so their answers can leave early. The result removes [f]. *)
val at_interlude : (unit -> unit) -> unit -> unit

(** [soon f] calls [f ()] in the next turn, right after the promises of [Lwt.pause] are resolved. It
    costs less than a promise. An exception goes to [Lwt.async_exception_hook], except
    [Out_of_memory], which loses this call ({!attempt}). *)
val soon : (unit -> unit) -> unit

(** [attempt f] is [true] after [f ()], and [false] if that raised [Out_of_memory]. A warning says
    how often that has happened, each time the number has doubled. *)
val attempt : (unit -> unit) -> bool

(** {1 The end of the domain} *)

type shutdown = [ `Poweroff | `Reboot | `Halt ]

(** As [xl] calls them: [poweroff], [reboot], [halt]. *)
val pp_shutdown : Format.formatter -> shutdown -> unit

(** Resolved when the toolstack asks the domain to end ([xl shutdown], [xl reboot]; on Unix: SIGTERM
    or SIGINT); at once if it has already asked. What follows is up to the program; when its main
    promise is resolved, the domain powers off, or reboots if that was requested.

    If neither language has called this (or its counterpart in Rust), the request itself ends the
    program: {!run} cancels its promise, runs the hooks and returns. *)
val shutdown_requested : unit -> shutdown Lwt.t

(** {1 Under another loop}

    A program has one loop. If that is a foreign one, such as [Xen_os.Main.run] of mirage-xen, it
    uses this module instead of {!run}. *)
module Guest : sig
  (** Polls without blocking, so that Rust tasks run, and then does what is due here. The result is
      the latest time at which it wants to be called again, as for {!step}. [stop] is called for a
      shutdown request that is not awaited.

      @raise Invalid_argument if called from a Rust task. *)
  val turn : stop:(unit -> unit) -> int64

  (** Runs the functions registered by {!at_exit}. *)
  val exit_hooks : unit -> unit Lwt.t
end
