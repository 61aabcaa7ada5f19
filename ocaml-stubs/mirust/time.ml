type t = { time : int64; mutable canceled : bool; thread : unit Lwt.u }

let fresh = ref []

let new_sleepers () =
  let sleepers = !fresh in
  fresh := [];
  sleepers

(* 2^63 ns are 292 years: a sum that overflows means "never". *)
let after d =
  let now = Abi.time_monotonic_ns () in
  let time = Int64.add now (Int64.max 0L d) in
  if Int64.compare time now < 0 then Int64.max_int else time

let own d =
  let promise, thread = Lwt.task () in
  let sleeper = { time = after d; canceled = false; thread } in
  fresh := sleeper :: !fresh;
  Lwt.on_cancel promise (fun () -> sleeper.canceled <- true);
  promise

let implementation = ref own
let delegate f = implementation := f
let ns d = !implementation d
let sleep_ns = ns

let with_timeout d f =
  let open Lwt.Infix in
  Lwt.pick [ (f () >|= fun v -> Ok v); (ns d >|= fun () -> Error `Timeout) ]
