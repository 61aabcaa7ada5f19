type t = {
  fire : unit -> unit;
  mutable deadline : int; (* max_int: none *)
  mutable sleeping : int; (* the earliest wake-up under way; max_int: none *)
  mutable stopped : bool;
}

(* Nanoseconds. *)
let again = 10_000_000
let create fire = { fire; deadline = max_int; sleeping = max_int; stopped = false }

(* A wake-up that is so late was lost when memory ran out. *)
let late = 1_000_000_000
let is_lost t = t.sleeping < max_int && Env.recent () - t.sleeping > late

(* A sleep is never cancelled. When the deadline moves later, the sleep under way wakes early and
   sleeps again; when it moves earlier, another sleep starts and the later one finds nothing to do.
   So moving a deadline to and fro costs nothing as long as it does not move before the sleep. *)
let rec arm t =
  if t.deadline < max_int && (t.deadline < t.sleeping || is_lost t) && not t.stopped then (
    let at = t.deadline in
    t.sleeping <- at;
    match Lwt.on_success (Env.sleep (max 0 (at - Env.now ()))) (fun () -> wake t at) with
    | () -> ()
    | exception e ->
        t.sleeping <- max_int;
        raise e)

and wake t at =
  if t.sleeping = at then (
    t.sleeping <- max_int;
    if t.deadline <= Env.now () then (
      t.deadline <- max_int;
      if not t.stopped then fire t);
    arm t)

(* If memory runs out, the timer fires again soon: nothing else would repeat what was not done. *)
and fire t =
  match Env.attempt t.fire with
  | true -> ()
  | false -> t.deadline <- min t.deadline (Env.now () + again)

let set_at t deadline =
  t.deadline <- deadline;
  arm t

let set t deadline = set_at t (match deadline with None -> max_int | Some at -> at)

let stop t =
  t.stopped <- true;
  t.deadline <- max_int
