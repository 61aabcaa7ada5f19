(* For Mirust's own loop, which knows its sleepers. *)

type t = Mirust.Time.t = { time : int64; mutable canceled : bool; thread : unit Lwt.u }

let ns = Mirust.Time.ns
let new_sleepers () = []
