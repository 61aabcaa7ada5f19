(* Our module type of a disk is that of Mirage's package (mirage-block 3), where that is not installed: written down
   here as the package publishes it, and compared in both directions by the type checker. There is nothing to run. *)

open Mirust_block

module type BLOCK = sig
  type error = private [> `Unimplemented | `Disconnected ]

  val pp_error : error Fmt.t

  type write_error = private [> `Unimplemented | `Disconnected | `Is_read_only ]

  val pp_write_error : write_error Fmt.t

  type t

  val disconnect : t -> unit Lwt.t
  val get_info : t -> Mirage_block.info Lwt.t
  val read : t -> int64 -> Cstruct.t list -> (unit, error) result Lwt.t
  val write : t -> int64 -> Cstruct.t list -> (unit, write_error) result Lwt.t
end

module Is_mirage's (B : Mirage_block.S) : BLOCK = B
module Is_ours (B : BLOCK) : Mirage_block.S = B
module _ : BLOCK = Block
