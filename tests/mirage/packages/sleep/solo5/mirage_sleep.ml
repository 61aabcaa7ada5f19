external now : unit -> int64 = "caml_get_monotonic_time"

type t = { time : int64; mutable canceled : bool; thread : unit Lwt.u }

let fresh = ref []

let ns d =
  let promise, thread = Lwt.task () in
  let t = { time = Int64.add (now ()) d; canceled = false; thread } in
  Lwt.on_cancel promise (fun () -> t.canceled <- true);
  fresh := t :: !fresh;
  promise

let new_sleepers () =
  let all = !fresh in
  fresh := [];
  all
