type t = {
  secret : string;
  random : int -> string;
  counters : int array;
  (* Of the pair of addresses that was asked for last: most packets go where the one before went. *)
  mutable src : string;
  mutable dst : string;
  mutable group : int;
  mutable offset : int;
  (* Random octets, a step in each, and how many of them are used up. *)
  mutable steps : string;
  mutable used : int;
}

let groups = 256
let batch = 64

let create ~random =
  let start _ = Int32.to_int (String.get_int32_le (random 4) 0) land 0xffffffff in
  {
    secret = random 16;
    random;
    counters = Array.init groups start;
    src = "";
    dst = "";
    group = 0;
    offset = 0;
    steps = "";
    used = 0;
  }

let look_up t ~src ~dst =
  let hash = Digest.BLAKE128.string (String.concat "" [ t.secret; src; dst ]) in
  t.src <- src;
  t.dst <- dst;
  t.group <- Char.code hash.[0] mod groups;
  t.offset <- Int32.to_int (String.get_int32_le hash 4) land 0xffffffff

(* One to four: who shares the group cannot count our packets. *)
let step t =
  if t.used = String.length t.steps then (
    t.steps <- t.random batch;
    t.used <- 0);
  let octet = Char.code t.steps.[t.used] in
  t.used <- t.used + 1;
  1 + (octet land 3)

let next t ~src ~dst =
  if not (String.equal src t.src && String.equal dst t.dst) then look_up t ~src ~dst;
  let counter = (t.counters.(t.group) + step t) land 0xffffffff in
  t.counters.(t.group) <- counter;
  (t.offset + counter) land 0xffffffff
