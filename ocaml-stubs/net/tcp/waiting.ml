type entry = {
  local : Ipaddr.t;
  local_port : int;
  remote : Ipaddr.t;
  remote_port : int;
  hash : int;
  until : int;
  snd_nxt : Seq.t;
  snd_wnd_max : int;
  rcv_nxt : Seq.t;
  rcv_adv : Seq.t;
  rcv_shift : int;
  mss : int;
  sack_ok : bool;
  ts_offset : int;
  ts_recent : int;
  ts_recent_at : int;
  repeats_paid : int;
  odd_at : int;
  odd_wait : int;
  mutable chain : entry;
  mutable older : entry;
  mutable newer : entry;
}

let sentinel () =
  let nobody = Ipaddr.V4 Ipaddr.V4.any in
  let rec none =
    {
      local = nobody;
      local_port = 0;
      remote = nobody;
      remote_port = 0;
      hash = 0;
      until = max_int;
      snd_nxt = 0;
      snd_wnd_max = 0;
      rcv_nxt = 0;
      rcv_adv = 0;
      rcv_shift = 0;
      mss = 0;
      sack_ok = false;
      ts_offset = 0;
      ts_recent = -1;
      ts_recent_at = 0;
      repeats_paid = 0;
      odd_at = 0;
      odd_wait = 0;
      chain = none;
      older = none;
      newer = none;
    }
  in
  none

let none = sentinel ()

(* All form a ring through [ring], from the oldest to the newest, and those of a place in the table a chain that ends in
   [none]. *)
type t = {
  mutable bits : int; (* the table has 2^bits places *)
  mutable places : entry array;
  mutable length : int;
  ring : entry;
}

let first_bits = 4

let create () =
  { bits = first_bits; places = Array.make (1 lsl first_bits) none; length = 0; ring = sentinel () }

let length t = t.length
let place t hash = hash lsr (Sys.int_size - t.bits)

let find t ~hash ~local ~local_port ~remote ~remote_port =
  let is e =
    e.hash = hash && e.remote_port = remote_port && e.local_port = local_port
    && Ipaddr.compare e.remote remote = 0
    && Ipaddr.compare e.local local = 0
  in
  let rec search e = if e == none || is e then e else search e.chain in
  search t.places.(place t hash)

let link t e =
  let i = place t e.hash in
  e.chain <- t.places.(i);
  t.places.(i) <- e

let rec move t e =
  if e != none then (
    let rest = e.chain in
    link t e;
    move t rest)

(* Nothing is allocated on the way: memory that ended there would take entries out of the table. *)
let grow t =
  if t.length >= 2 * Array.length t.places then (
    let old = t.places in
    t.places <- Array.make (4 * Array.length old) none;
    t.bits <- t.bits + 2;
    for i = 0 to Array.length old - 1 do
      move t (Array.unsafe_get old i)
    done)

let add t e =
  (* First: nothing has happened if there is no memory for that. *)
  grow t;
  link t e;
  t.length <- t.length + 1;
  let ring = t.ring in
  e.older <- ring.older;
  e.newer <- ring;
  ring.older.newer <- e;
  ring.older <- e

let unlink t e =
  let i = place t e.hash in
  let rec after before =
    if before.chain == e then before.chain <- e.chain else after before.chain
  in
  if t.places.(i) == e then t.places.(i) <- e.chain else after t.places.(i);
  e.chain <- none

let remove t e =
  unlink t e;
  e.older.newer <- e.newer;
  e.newer.older <- e.older;
  e.older <- none;
  e.newer <- none;
  t.length <- t.length - 1

let oldest t = if t.length = 0 then none else t.ring.newer

let rec clear t =
  if t.length > 0 then (
    remove t (oldest t);
    clear t)

let next t = (oldest t).until

let rec expire t ~now =
  let e = oldest t in
  if e != none && e.until <= now then (
    remove t e;
    expire t ~now)
