(** What unikernels use of mirage-xen's module of this name, on {!Mirust.Main}. Grants, event
    channels and xenstore are not here: drivers that use them run on mirage-xen itself. *)

module Main : sig
  (** {!Mirust.Main.run}; the hooks of [Mirage_runtime] run in its turns and at its end. *)
  val run : unit Lwt.t -> unit
end

module Lifecycle : sig
  (** The next request of the toolstack to end the domain. Requests that cannot be followed are
      waited out. *)
  val await_shutdown_request :
    ?can_poweroff:bool -> ?can_reboot:bool -> unit -> [ `Poweroff | `Reboot ] Lwt.t
end

module Sched : sig
  (** [add_resume_hook f] has [f ()] awaited each time when the domain goes on in a new one. That it
      is suspended is the runtime's affair; {!Mirust.Suspend} has the hook before it. *)
  val add_resume_hook : (unit -> unit Lwt.t) -> unit
end

module Memory : sig
  (** In words. [heap_words] is all memory of the domain, [live_words] what both languages have
      allocated; [stack_words] is not known. *)
  type stat = { heap_words : int; live_words : int; stack_words : int; free_words : int }

  (** Now. *)
  val stat : unit -> stat

  (** The same: neither takes long. *)
  val quick_stat : unit -> stat

  (** Does nothing: memory that is freed is there for everyone at once. *)
  val trim : unit -> unit
end
