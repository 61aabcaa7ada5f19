(* What Mirage code expects of the modules that it is linked with, by the packages' interfaces. *)

module type MIRAGE_SLEEP = sig
  type t = { time : int64; mutable canceled : bool; thread : unit Lwt.u }

  val ns : int64 -> unit Lwt.t
  val new_sleepers : unit -> t list
end

module type MIRAGE_MTIME = sig
  val elapsed_ns : unit -> int64
  val period_ns : unit -> int64 option
end

module type MIRAGE_PTIME = sig
  val now : unit -> Ptime.t
  val now_d_ps : unit -> int * int64
  val current_tz_offset_s : unit -> int option
  val period : unit -> Ptime.Span.t option
end

module _ : MIRAGE_SLEEP = Mirust.Time
module _ : MIRAGE_MTIME = Mirust.Mclock
module _ : MIRAGE_PTIME = Mirust.Pclock

let day_and_second () =
  let d, ps = Mirust.Pclock.now_d_ps () in
  Alcotest.(check bool) "a day since 2020" true (d > 18_262);
  Alcotest.(check bool) "within the day" true (ps >= 0L && ps < 86_400_000_000_000_000L);
  let now = Ptime.to_float_s (Mirust.Pclock.now ()) in
  let ns = Int64.to_float (Mirust__Abi.time_wall_ns ()) in
  Alcotest.(check bool) "the same clock" true (Float.abs (now -. (ns /. 1e9)) < 10.)

let tests = [ Alcotest.test_case "wall_clock_in_days" `Quick day_and_second ]
