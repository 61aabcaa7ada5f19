type t = { bytes : string; mutable at : int; rng : Random.State.t }

let create bytes = { bytes; at = 0; rng = Random.State.make [| 1 |] }
let left t = String.length t.bytes - t.at

let take t n =
  let n = min n (left t) in
  let s = String.sub t.bytes t.at n in
  t.at <- t.at + n;
  s

let int t n =
  let width = if n <= 1 then 0 else if n <= 0x100 then 1 else if n <= 0x10000 then 2 else 4 in
  let bytes = take t width in
  let sum = ref 0 in
  for i = String.length bytes - 1 downto 0 do
    sum := (!sum lsl 8) lor Char.code bytes.[i]
  done;
  !sum mod n

let random t n = if left t > 0 && n <= 0x100 then int t n else Random.State.full_int t.rng n
