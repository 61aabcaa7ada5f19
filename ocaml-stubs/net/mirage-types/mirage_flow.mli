(** Byte streams. *)

type write_error = [ `Closed ]

val pp_write_error : write_error Fmt.t

type 'a or_eof = [ `Data of 'a | `Eof ]

val pp_or_eof : 'a Fmt.t -> 'a or_eof Fmt.t

module type S = sig
  type error

  val pp_error : error Fmt.t

  type nonrec write_error = private [> write_error ]

  val pp_write_error : write_error Fmt.t

  type flow

  (** The next bytes, at least one; [`Eof] once the peer has sent its last and they have been read.
  *)
  val read : flow -> (Cstruct.t or_eof, error) result Lwt.t

  (** Resolves when the flow has taken the bytes over, which is not when the peer has them. The
      buffer must not be changed afterwards. *)
  val write : flow -> Cstruct.t -> (unit, write_error) result Lwt.t

  (** As [write], of several buffers in their order. *)
  val writev : flow -> Cstruct.t list -> (unit, write_error) result Lwt.t

  (** Closes one direction: [`write] sends an end of file after what was written. *)
  val shutdown : flow -> [ `read | `write | `read_write ] -> unit Lwt.t

  (** Flushes, closes both directions and releases the flow. *)
  val close : flow -> unit Lwt.t
end
