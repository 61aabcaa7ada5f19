(** What Mirage's libraries expect of a disk, for when Mirage's own package of this name is not
    installed. If it is, [info] is Mirage's type, and the rest is structurally the same, so that
    Mirage's functors accept {!Block}. *)

type error = [ `Unimplemented | `Disconnected ]

val pp_error : error Fmt.t

type write_error = [ error | `Is_read_only ]

val pp_write_error : write_error Fmt.t

(** [size_sectors] is in units of [sector_size] bytes. *)
type info = Mirust_records.Block_info.t = {
  read_write : bool;
  sector_size : int;
  size_sectors : int64;
}

val pp_info : info Fmt.t

module type S = sig
  type nonrec error = private [> error ]

  val pp_error : error Fmt.t

  type nonrec write_error = private [> write_error ]

  val pp_write_error : write_error Fmt.t

  type t

  (** Closes the disk. *)
  val disconnect : t -> unit Lwt.t

  (** Its size, and whether it can be written. *)
  val get_info : t -> info Lwt.t

  (** [read t sector buffers] fills the buffers in turn, beginning at [sector]. Each has a whole
      number of sectors. *)
  val read : t -> int64 -> Cstruct.t list -> (unit, error) result Lwt.t

  (** [write t sector buffers] writes the buffers one after another, beginning at [sector]. *)
  val write : t -> int64 -> Cstruct.t list -> (unit, write_error) result Lwt.t
end
