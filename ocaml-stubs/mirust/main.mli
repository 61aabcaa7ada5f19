(** The loop that runs OCaml's promises and, through the domain poll, everything else.

    One turn wakes paused promises and due sleepers, collects what Rust completed, and polls. The
    poll handles events, runs Rust tasks, and blocks only when neither language has anything to do.
*)

(** [run main] turns the loop until [main] is resolved, then runs the {!at_exit} hooks, and returns.
    When the program's toplevel ends after that, the domain powers off.

    If Rust owns the program's main function ([mirust::main!]), [run main] returns at once: it only
    enters [main], and Rust's loop turns this one by {!step}. The hooks then run when [main] is
    resolved.

    @raise Invalid_argument
      if the loop is already running: a promise awaits, it does not call [run]. An exception of
      [main] comes out of [run], after the hooks; nobody catching it, it ends the domain as crashed.
*)
val run : unit Lwt.t -> unit

(** One turn without its poll: does what is due now in OCaml and returns when it wants to be called
    again, in nanoseconds since boot: [0L] for at once, [Int64.max_int] for news only. Rust's loop
    calls this one (the callback ["mirust_step"]). *)
val step : unit -> int64

(** [at_exit f] has [f ()] awaited after the main promise, the last one registered first. An
    exception is logged and does not keep the others from running. *)
val at_exit : (unit -> unit Lwt.t) -> unit

(** [at_enter_iter f] runs [f ()] at the start of each turn. *)
val at_enter_iter : (unit -> unit) -> unit

(** [at_leave_iter f] runs [f ()] at the end of each turn, before the poll that may block. What it
    wakes is seen: the poll then does not block. *)
val at_leave_iter : (unit -> unit) -> unit

(** [soon f] has [f ()] called in the next turn, as what waits for [Lwt.pause] is, and right behind
    that. It costs less than a promise. An exception goes to [Lwt.async_exception_hook]. *)
val soon : (unit -> unit) -> unit

(** {1 The end of the domain} *)

type shutdown = [ `Poweroff | `Reboot | `Halt ]

val pp_shutdown : Format.formatter -> shutdown -> unit

(** Resolved when the toolstack asks the domain to end ([xl shutdown], [xl reboot]; on Unix: SIGTERM
    or SIGINT); at once if it has already asked. What follows is up to the program; when its main
    promise is resolved the domain powers off, or starts again if that was asked for.

    If nobody in either language has called this (or its like in Rust), the request itself ends the
    program: {!run} cancels its promise, runs the hooks and returns. *)
val shutdown_requested : unit -> shutdown Lwt.t

(** {1 Under another loop}

    A program has one loop. Where that is somebody else's, such as [Xen_os.Main.run] of mirage-xen,
    it calls this instead of {!run}. *)
module Guest : sig
  (** Polls without blocking, so that Rust tasks run, and does then what is due here. When it wants
      to be called again at the latest: as {!step}. [stop] is called for a shutdown request that
      nobody awaits.

      @raise Invalid_argument from a Rust task. *)
  val turn : stop:(unit -> unit) -> int64

  (** Runs what {!at_exit} was given. *)
  val exit_hooks : unit -> unit Lwt.t
end
