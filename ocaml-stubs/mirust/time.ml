type t = { time : int64; mutable canceled : bool; thread : unit Lwt.u }

let fresh = Queue.create ()

(* Each sleeper is removed only after [f] has taken it, since memory may run out in between. (A check instead of the
   exception [Queue.Empty], which would overwrite the backtrace of the one that the program ends with.) *)
let rec take_new_sleepers f =
  if not (Queue.is_empty fresh) then (
    f (Queue.peek fresh);
    ignore (Queue.pop fresh : t);
    take_new_sleepers f)

let new_sleepers () =
  let sleepers = Queue.fold (fun list sleeper -> sleeper :: list) [] fresh in
  Queue.clear fresh;
  sleepers

(* 2^63 ns are 292 years: a sum that overflows means "never". *)
let after d =
  let now = Abi.time_monotonic_ns () in
  let time = Int64.add now (Int64.max 0L d) in
  if Int64.compare time now < 0 then Int64.max_int else time

let own d =
  let promise, thread = Lwt.task () in
  let sleeper = { time = after d; canceled = false; thread } in
  Queue.push sleeper fresh;
  Lwt.on_cancel promise (fun () -> sleeper.canceled <- true);
  promise

let implementation = ref own
let delegate f = implementation := f
let ns d = !implementation d
let sleep_ns = ns

module Deadline = struct
  type t = {
    mutable passed : unit -> unit;
    mutable due : int; (* nanoseconds since boot *)
    mutable wakes : int; (* when [sleeper] does: never later than [due] *)
    mutable sleeper : unit Lwt.t;
    mutable next : t; (* of the idle ones, in a ring *)
  }

  let never = max_int

  let create passed =
    let rec t = { passed; due = never; wakes = never; sleeper = Lwt.return_unit; next = t } in
    t

  (* Postponing a deadline only stores a number: the sleeper wakes too early, and sleeps again. *)
  let rec sleep t ~now =
    let sleeper = ns (Int64.of_int (t.due - now)) in
    t.wakes <- t.due;
    t.sleeper <- sleeper;
    Lwt.on_success sleeper (fun () -> if t.sleeper == sleeper then wake t)

  and wake t =
    t.wakes <- never;
    t.sleeper <- Lwt.return_unit;
    if t.due <> never then
      let now = Int64.to_int (Abi.time_monotonic_ns ()) in
      if now < t.due then sleep t ~now
      else (
        t.due <- never;
        t.passed ())

  let set t d =
    let now = Int64.to_int (Abi.time_monotonic_ns ()) in
    let d =
      if Int64.compare d (Int64.of_int (never - now)) >= 0 then never - now else Int64.to_int d
    in
    t.due <- now + Int.max 0 d;
    if t.due < t.wakes then (
      Lwt.cancel t.sleeper;
      sleep t ~now)

  let clear t =
    t.due <- never;
    if t.wakes <> never then (
      t.wakes <- never;
      Lwt.cancel t.sleeper;
      t.sleeper <- Lwt.return_unit)

  (* {2 Those of [with_timeout]}

     What has come in time leaves its deadline to the next one, whose sleeper may well be early enough already. *)

  let idle = create ignore
  let idle_count = ref 0
  let most_idle = 1024

  let borrow d passed =
    let t = idle.next in
    let t =
      if t == idle then create passed
      else (
        decr idle_count;
        idle.next <- t.next;
        t.passed <- passed;
        t)
    in
    set t d;
    t

  let give_back t =
    t.passed <- ignore;
    if !idle_count < most_idle then (
      incr idle_count;
      t.due <- never;
      t.next <- idle.next;
      idle.next <- t)
    else clear t
end

let limit d work =
  let result, resolver = Lwt.task () in
  let waits () = Lwt.is_sleeping result in
  let late () =
    (* Called by a sleeper, so that waiters get the result only after [work] has been cancelled. *)
    Lwt.wakeup_later resolver (Error `Timeout);
    Lwt.cancel work
  in
  let deadline = Deadline.borrow d late in
  let in_time () = Deadline.give_back deadline in
  Lwt.on_any work
    (fun v ->
      if waits () then (
        in_time ();
        Lwt.wakeup resolver (Ok v)))
    (fun e ->
      if waits () then (
        in_time ();
        Lwt.wakeup_exn resolver e));
  Lwt.on_cancel result (fun () ->
      in_time ();
      Lwt.cancel work);
  result

let with_timeout d f =
  let work = f () in
  match Lwt.state work with
  | Lwt.Return v -> Lwt.return_ok v
  | Lwt.Fail e -> Lwt.fail e
  | Lwt.Sleep -> limit d work
