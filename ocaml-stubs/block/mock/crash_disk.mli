(** A disk in memory that can crash at any moment, as the worst disk may. It stands where
    {!Mirust_block.Block} does, below what is to be tested.

    What was flushed is there after a crash. Of every sector that a write was about since, or that a
    write under way was about, any of these is there: what it was before, what was written, or the
    beginning of that. Writes that follow each other may reach the medium in any order, and some of
    them twice.

    Nothing here needs a loop: requests take some turns of [Lwt.pause], as many as the seed says, so
    that they are served in any order. A test runs a step by [Lwt.wakeup_paused], and crashes the
    disk after as many as it likes:

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
    all of them zeros. All that it does by chance is of the seed. *)
val create : ?sector_size:int -> seed:int -> int -> t

(** What [Mirust_block.Block] has besides. Discarded sectors read as what they were. *)

val flush : t -> (unit, write_error) result Lwt.t
val discard : ?secure:bool -> t -> int64 -> int64 -> (unit, write_error) result Lwt.t
val zero : t -> int64 -> int64 -> (unit, write_error) result Lwt.t

(** [crash t] is what a crash leaves now, as a disk that goes on with [t]'s chance. Requests of [t]
    never end from here on: who waited for them is gone as well. *)
val crash : t -> t

(** [break_down t]: from now on writes and flushes are [`Io], as of storage that is full on the
    other side, or of a medium that has gone bad. *)
val break_down : t -> unit

(** What a reader sees: all of the disk. *)
val contents : t -> string
