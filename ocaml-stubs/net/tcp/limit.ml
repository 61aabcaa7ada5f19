type t = {
  least : int;
  random : int -> int;
  mutable second : int; (* the one that [left] is for *)
  mutable left : int;
}

let create ~least random = { least; random; second = -1; left = 0 }

let allows t ~now =
  let second = now / 1_000_000_000 in
  if second <> t.second then (
    t.second <- second;
    t.left <- t.least + t.random t.least);
  t.left > 0
  &&
  (t.left <- t.left - 1;
   true)
