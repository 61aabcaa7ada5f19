(** The disks of the domain: a virtual block device ([vbd]) on Xen, a file or a device on Linux.

    A disk has a name in the program. The parameter [--disk=NAME:DEVICE] says which device that is:
    what the toolstack calls it on Xen ([xvdb]), a path on Linux. Without such a parameter the name
    is the device itself.

    {2 What is promised}

    A write has happened when its promise is fulfilled; it is stable when that of a {!flush} is that
    was called after it. Requests may be served in any order, also reads and writes of the same
    sectors: who wants an order awaits one before calling the next. A flush waits by itself for the
    writes that were called before it.

    When the other end goes away (a hot unplug, a driver domain that is restarted), calls wait for
    it to come back, and what was under way is issued again. If it has vanished with writes that had
    been fulfilled and were not flushed, the next flush is [`Lost].

    A promise cannot be cancelled. The buffers belong to the disk until it is fulfilled. Pages of
    {!alloc} are read and written where they are; other memory may be copied once. *)

type t

(** What can go wrong, beyond what Mirage names: sectors that the disk does not have; buffers that
    are not whole sectors; a bad sector, or storage that is full on the other side; see above for
    [`Lost]; no memory, or no grants, for the request. *)
type failure = [ `Out_of_range | `Misaligned | `Io | `Lost | `No_memory ]

type error = [ Mirage_block.error | failure ]
type write_error = [ Mirage_block.write_error | failure ]

include Mirage_block.S with type t := t and type error := error and type write_error := write_error

(** [connect name] is the disk, once it is connected for the first time; if it is already, the same
    as before. [depth] bounds the requests that are with the other end at the same time. With
    [persistent] the other end may keep pages mapped, and all data are copied. Both matter on Xen
    only.

    @raise Failure if there is no such disk and there never will be, or if it is closed. *)
val connect : ?depth:int -> ?persistent:bool -> string -> t Lwt.t

(** Makes stable what was written before. *)
val flush : t -> (unit, write_error) result Lwt.t

(** [discard t sector count] gives sectors back: reading them gives anything until they are written
    again. [`Unimplemented] where the disk cannot; with [secure], where it cannot do that so that no
    copy remains. *)
val discard : ?secure:bool -> t -> int64 -> int64 -> (unit, write_error) result Lwt.t

(** [zero t sector count] writes zeros. *)
val zero : t -> int64 -> int64 -> (unit, write_error) result Lwt.t

(** [alloc bytes] is memory that begins with a page: whole pages of it need no copy. *)
val alloc : int -> Cstruct.t

(** {1 More than Mirage asks for} *)

type state = Down  (** calls wait *) | Up | Closed  (** for good *)

type discard = {
  granularity : int;  (** bytes *)
  alignment : int;  (** bytes from the disk's beginning to the first such unit *)
  secure : bool;
}

type details = {
  state : state;
  read_only : bool;
  cdrom : bool;
  sector_size : int;  (** bytes: 512 to 4096 *)
  physical_sector_size : int;  (** bytes that the medium writes at a time *)
  size : int64;  (** bytes; it may change *)
  flush : bool;  (** there is a cache, which a flush empties *)
  discard : discard option;
  transfer_max : int;  (** bytes of a request that is not cut *)
}

val details : t -> details

(** Fulfilled when the state or the size changes. *)
val change : t -> unit Lwt.t

(** {1 What disks count} *)

type stats = {
  reads : int;
  read_bytes : int;
  writes : int;
  written_bytes : int;
  flushes : int;
  discards : int;
  errors : int;
  requests : int;  (** as the other end saw them, after cutting and joining *)
  copied : int;  (** bytes *)
  grants : int;  (** pages that the other end was granted access to *)
  notifications : int;  (** sent; one hypercall each. On Linux, system calls *)
  events : int;  (** notifications received *)
  lies : int;  (** protocol violations by the peer *)
  connections : int;
  reissued : int;  (** requests that were issued again on another connection *)
}

val stats : t -> stats
