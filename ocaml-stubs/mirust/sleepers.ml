type entry = { sleeper : Time.t; seq : int }

type t = {
  mutable heap : entry array;  (** the first [length] are in use; children of [i]: [2i+1], [2i+2] *)
  mutable length : int;
  mutable seq : int;
  mutable sweep_at : int;  (** the length at which cancelled entries are looked for *)
}

let smallest_sweep = 64
let vacant = { sleeper = { Time.time = 0L; canceled = true; thread = snd (Lwt.wait ()) }; seq = 0 }
let create () = { heap = [||]; length = 0; seq = 0; sweep_at = smallest_sweep }
let length t = t.length

let before a b =
  let c = Int64.compare a.sleeper.Time.time b.sleeper.Time.time in
  c < 0 || (c = 0 && a.seq < b.seq)

let rec sift_up t i e =
  let parent = (i - 1) / 2 in
  if i > 0 && before e t.heap.(parent) then (
    t.heap.(i) <- t.heap.(parent);
    sift_up t parent e)
  else t.heap.(i) <- e

let rec sift_down t i e =
  let left = (2 * i) + 1 in
  if left >= t.length then t.heap.(i) <- e
  else
    let right = left + 1 in
    let child = if right < t.length && before t.heap.(right) t.heap.(left) then right else left in
    if before t.heap.(child) e then (
      t.heap.(i) <- t.heap.(child);
      sift_down t child e)
    else t.heap.(i) <- e

(* Drops cancelled entries and restores the heap bottom up, in linear time. *)
let sweep t =
  let live = ref 0 in
  for i = 0 to t.length - 1 do
    if not t.heap.(i).sleeper.canceled then (
      t.heap.(!live) <- t.heap.(i);
      incr live)
  done;
  Array.fill t.heap !live (t.length - !live) vacant;
  t.length <- !live;
  for i = (t.length / 2) - 1 downto 0 do
    sift_down t i t.heap.(i)
  done;
  t.sweep_at <- max smallest_sweep (2 * t.length)

let add t sleeper =
  if not sleeper.Time.canceled then (
    if t.length >= t.sweep_at then sweep t;
    if t.length = Array.length t.heap then (
      let larger = Array.make (max 16 (2 * t.length)) vacant in
      Array.blit t.heap 0 larger 0 t.length;
      t.heap <- larger);
    let entry = { sleeper; seq = t.seq } in
    t.seq <- t.seq + 1;
    t.length <- t.length + 1;
    sift_up t (t.length - 1) entry)

let pop t =
  let top = t.heap.(0) in
  t.length <- t.length - 1;
  let last = t.heap.(t.length) in
  t.heap.(t.length) <- vacant;
  if t.length > 0 then sift_down t 0 last;
  top.sleeper

let rec next t =
  if t.length = 0 then None
  else
    let first = t.heap.(0).sleeper in
    if first.canceled then (
      ignore (pop t);
      next t)
    else Some first.time

let first_due t ~now =
  match next t with
  | Some time when Int64.compare time now <= 0 -> Some t.heap.(0).sleeper
  | Some _ | None -> None

let drop_first t = ignore (pop t : Time.t)
