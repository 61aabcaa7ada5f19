type error = [ `Unimplemented | `Disconnected ]

let pp_error ppf = function
  | `Unimplemented -> Fmt.string ppf "operation not yet implemented"
  | `Disconnected -> Fmt.string ppf "a required device is disconnected"

type write_error = [ error | `Is_read_only ]

let pp_write_error ppf = function
  | #error as e -> pp_error ppf e
  | `Is_read_only -> Fmt.string ppf "attempted to write to a read-only disk"

type info = Mirust_records.Block_info.t = {
  read_write : bool;
  sector_size : int;
  size_sectors : int64;
}

let pp_info ppf { read_write; sector_size; size_sectors } =
  Fmt.pf ppf "{ read_write = %b; sector_size = %d; size_sectors = %Ld }" read_write sector_size
    size_sectors

module type S = sig
  type nonrec error = private [> error ]

  val pp_error : error Fmt.t

  type nonrec write_error = private [> write_error ]

  val pp_write_error : write_error Fmt.t

  type t

  val disconnect : t -> unit Lwt.t
  val get_info : t -> info Lwt.t
  val read : t -> int64 -> Cstruct.t list -> (unit, error) result Lwt.t
  val write : t -> int64 -> Cstruct.t list -> (unit, write_error) result Lwt.t
end
