type t = { secret : string; random : int -> string; counters : int array }

let groups = 256

let create ~random =
  let start _ = Int32.to_int (String.get_int32_le (random 4) 0) land 0xffffffff in
  { secret = random 16; random; counters = Array.init groups start }

let next t ~src ~dst =
  let hash = Digest.BLAKE128.string (String.concat "" [ t.secret; src; dst ]) in
  let group = Char.code hash.[0] mod groups in
  let offset = Int32.to_int (String.get_int32_le hash 4) land 0xffffffff in
  (* Steps of one to four: who shares the group cannot count our packets. *)
  let step = 1 + (Char.code (t.random 1).[0] land 3) in
  t.counters.(group) <- (t.counters.(group) + step) land 0xffffffff;
  (offset + t.counters.(group)) land 0xffffffff
