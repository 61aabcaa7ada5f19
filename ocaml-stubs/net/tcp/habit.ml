type t = {
  mutable asked_at : int; (* ns; [nobody]: there is nothing to answer *)
  mutable took : int; (* ns; what answers took lately, the longest of them counting for longest *)
  mutable streak : int;
      (* exchanges in a row that were as they should be; less than 0: so many to go before they count *)
}

let nobody = -1
let ms = 1_000_000
let create () = { asked_at = nobody; took = 0; streak = 0 }

(* Four times as long fits into the delay of an acknowledgement that nothing is known of. *)
let longest = 10 * ms

(* So many make a habit; so many do not count, before those, after an answer has not come. *)
let enough = 4
let penance = -16

(* Less than the timers can tell apart. *)
let least = 2 * ms
let break t = if t.streak > 0 then t.streak <- 0

let asked t ~now =
  if t.asked_at = nobody then t.asked_at <- now (* In the same turn it is the rest of the same. *)
  else if t.asked_at <> now then break t

let answered t ~now =
  if t.asked_at <> nobody then (
    let took = now - t.asked_at in
    t.asked_at <- nobody;
    if took > longest then break t
    else (
      if t.streak < enough then t.streak <- t.streak + 1;
      t.took <- Int.max took (t.took - (t.took / 8))))

let missed t = t.streak <- penance
let patience t ~most = if t.streak < enough then 0 else Int.min most (Int.max least (4 * t.took))
