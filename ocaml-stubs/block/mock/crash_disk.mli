(** An in-memory disk that can crash at any moment, as badly as a disk may. It takes the place of
    {!Mirust_block.Block} below the code under test.

    What was flushed survives a crash. Each sector written since then, or by a write in progress,
    has its old contents, its new contents, or only the beginning of the new ones. Writes may reach
    the medium in any order, and some of them twice.

    No event loop is needed: requests take a number of turns of [Lwt.pause] that the seed decides,
    so that they are served in any order. A test makes a step by [Lwt.wakeup_paused], and crashes
    the disk after any number of them:

    {[
      let disk = Crash_disk.create ~seed 64 in
      let work = use disk in
      for _ = 1 to steps do
        Lwt.wakeup_paused ()
      done;
      let disk = Crash_disk.crash disk in
      check disk
    ]} *)

type t
type error = Mirust_block.Block.error
type write_error = Mirust_block.Block.write_error

include
  Mirust_block.Mirage_block.S
    with type t := t
     and type error := error
     and type write_error := write_error

(** [create ~seed n] is a disk of [n] sectors, 512 bytes each unless [sector_size] says otherwise,
    all of them zeros. All its random choices come from the seed. *)
val create : ?sector_size:int -> seed:int -> int -> t

(** {1 As in [Mirust_block.Block]} *)

(** Makes all earlier writes survive a crash. *)
val flush : t -> (unit, write_error) result Lwt.t

(** Discarded sectors keep their contents. *)
val discard : ?secure:bool -> t -> int64 -> int64 -> (unit, write_error) result Lwt.t

(** Writes zeros. *)
val zero : t -> int64 -> int64 -> (unit, write_error) result Lwt.t

(** [crash t] is what a crash leaves at this moment, as a disk that continues with [t]'s generator.
    Requests to [t] never complete from here on, since their callers have crashed too. *)
val crash : t -> t

(** After [break_down t], writes and flushes fail with [`Io], as if the backend's storage were full
    or the medium had gone bad. *)
val break_down : t -> unit

(** The whole disk, as a reader sees it. *)
val contents : t -> string
