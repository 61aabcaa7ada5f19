(** What the runtime has counted since boot. *)

(** The domain poll, for both languages together. *)
module Poll : sig
  type t = {
    polls : int;  (** calls of the poll *)
    blocks : int;  (** times the domain gave up the processor *)
    wakeups : int;  (** blocks that ended before their deadline, by an event *)
    events : int;  (** events handed to their waiters *)
    tasks_run : int;  (** turns of Rust tasks *)
    timers_fired : int;  (** timers of Rust tasks that fired *)
    completions : int;  (** tokens that OCaml collected *)
  }

  (** The numbers now. *)
  val get : unit -> t

  (** On one line. *)
  val pp : Format.formatter -> t -> unit
end

(** The memory that both languages share, in bytes. *)
module Memory : sig
  type t = {
    total : int;  (** memory that the runtime manages; on Unix 0: the kernel does *)
    free : int;  (** of which is free *)
    heap : int;  (** allocated by [malloc] and Rust *)
    mapped : int;  (** committed by [mmap], which is where the OCaml heap lives; on Unix 0 *)
  }

  (** The numbers now. *)
  val get : unit -> t

  (** On one line. *)
  val pp : Format.formatter -> t -> unit
end
