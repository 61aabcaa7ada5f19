type t = {
  mutable asked_at : int; (* ns; [never]: there is nothing to answer *)
  mutable took : int; (* ns; how long answers took lately: the longest, which decays slowly *)
  mutable streak : int;
      (* how many exchanges in a row were prompt; negative: how many must still pass before they count *)
}

let never = -1
let ms = 1_000_000
let create () = { asked_at = never; took = 0; streak = 0 }

(* Four times as long fits into the delay of an acknowledgement that nothing is known of. *)
let longest = 10 * ms

(* [enough] prompt exchanges make a habit. After a missing answer, the next [-penance] do not count. *)
let enough = 4
let penance = -16

(* Less than the timers can tell apart. *)
let least = 2 * ms
let break t = if t.streak > 0 then t.streak <- 0

let asked t ~now =
  if t.asked_at = never then
    t.asked_at <- now (* More data in the same turn belongs to the same request. *)
  else if t.asked_at <> now then break t

let answered t ~now =
  if t.asked_at <> never then (
    let took = now - t.asked_at in
    t.asked_at <- never;
    if took > longest then break t
    else (
      if t.streak < enough then t.streak <- t.streak + 1;
      t.took <- Int.max took (t.took - (t.took / 8))))

let missed t = t.streak <- penance
let patience t ~most = if t.streak < enough then 0 else Int.min most (Int.max least (4 * t.took))
