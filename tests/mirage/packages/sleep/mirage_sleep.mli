type t = { time : int64; mutable canceled : bool; thread : unit Lwt.u }

val ns : int64 -> unit Lwt.t
val new_sleepers : unit -> t list
