(** The disks of the domain: a virtual block device ([vbd]) on Xen, a file or a device on Linux.

    A program chooses the names of its disks. The parameter [--disk=NAME:DEVICE] says which device a
    name stands for: the toolstack's name for it on Xen ([xvdb]), a path on Linux. Without such a
    parameter the name is the device itself.

    {2 What is promised}

    A write is complete when its promise is fulfilled; it is stable once a {!val-flush} called after
    that has succeeded. Requests may be served in any order, also reads and writes of the same
    sectors: to enforce an order, await one before making the next. A flush waits for all writes
    called before it.

    When the backend goes away (a hot unplug, a restarted driver domain), calls wait for it to come
    back, and unanswered requests are issued again. If it vanishes while completed writes have not
    been flushed, the next flush fails with [`Lost].

    A promise cannot be cancelled. The buffers belong to the disk until it is fulfilled. Pages from
    {!alloc} are read and written in place; other memory may be copied once. *)

type t

(** Errors in addition to Mirage's: sectors that the disk does not have; buffers that are not whole
    sectors; a bad sector, or a backend whose storage is full; [`Lost], see above; no memory, or no
    grants, for the request. *)
type failure = [ `Out_of_range | `Misaligned | `Io | `Lost | `No_memory ]

type error = [ Mirage_block.error | failure ]
type write_error = [ Mirage_block.write_error | failure ]

include Mirage_block.S with type t := t and type error := error and type write_error := write_error

(** [connect name] is the disk, once it is connected; a disk that is already connected is shared.
    [depth] bounds the number of requests that the backend has at the same time. With [persistent],
    the backend may keep pages mapped, and all data is copied. Both matter only on Xen.

    @raise Failure if there is no such disk and there never will be, or if it is closed. *)
val connect : ?depth:int -> ?persistent:bool -> string -> t Lwt.t

(** Makes all earlier writes stable. *)
val flush : t -> (unit, write_error) result Lwt.t

(** [discard t sector count] discards sectors: their contents are undefined until they are written
    again. [`Unimplemented] if the disk cannot do that; with [secure], if it cannot guarantee that
    no copy remains. *)
val discard : ?secure:bool -> t -> int64 -> int64 -> (unit, write_error) result Lwt.t

(** [zero t sector count] writes zeros. *)
val zero : t -> int64 -> int64 -> (unit, write_error) result Lwt.t

(** [alloc bytes] is page-aligned memory: its whole pages need no copy. *)
val alloc : int -> Cstruct.t

(** {1 Beyond Mirage's interface} *)

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
  flush : bool;  (** there is a cache, so that flushes are needed *)
  discard : discard option;
  transfer_max : int;  (** bytes of the largest request that is not split *)
}

(** What the disk is like now. *)
val details : t -> details

(** Fulfilled when the state or the size changes. *)
val change : t -> unit Lwt.t

(** {1 Counters} *)

type stats = {
  reads : int;
  read_bytes : int;
  writes : int;
  written_bytes : int;
  flushes : int;
  discards : int;
  errors : int;
  requests : int;  (** as the backend saw them, after splitting and merging *)
  copied : int;  (** bytes *)
  grants : int;  (** pages granted to the backend *)
  notifications : int;
      (** sent; one hypercall each. On Linux, times that requests were given to the kernel *)
  events : int;  (** notifications received *)
  lies : int;  (** protocol violations by the peer *)
  connections : int;
  reissued : int;  (** requests that were issued again on another connection *)
}

(** Since it was opened. *)
val stats : t -> stats
