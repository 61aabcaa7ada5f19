type key = { k0 : int64; k1 : int64 }

let key s = { k0 = String.get_int64_le s 0; k1 = String.get_int64_le s 8 }
let rotate x n = Int64.(logor (shift_left x n) (shift_right_logical x (64 - n))) [@@inline]

(* In one function, whose four words of state are in registers: an [int64] that outlives a function would be a block on
   the heap, and so would every new value of it. *)
let hash64 { k0; k1 } message =
  let open Int64 in
  let v0 = ref (logxor k0 0x736f6d6570736575L)
  and v1 = ref (logxor k1 0x646f72616e646f6dL)
  and v2 = ref (logxor k0 0x6c7967656e657261L)
  and v3 = ref (logxor k1 0x7465646279746573L) in
  let length = String.length message in
  let words = length / 8 in
  let last = ref (shift_left (of_int length) 56) in
  for i = 0 to (length land 7) - 1 do
    let octet = of_int (Char.code message.[(8 * words) + i]) in
    last := logor !last (shift_left octet (8 * i))
  done;
  (* Two rounds for each word and for what is left, and four at the end. *)
  for i = 0 to words + 1 do
    let ends = i > words in
    let word =
      if i < words then String.get_int64_le message (8 * i) else if ends then 0L else !last
    in
    if ends then v2 := logxor !v2 0xffL else v3 := logxor !v3 word;
    for _ = 1 to if ends then 4 else 2 do
      v0 := add !v0 !v1;
      v2 := add !v2 !v3;
      v1 := logxor (rotate !v1 13) !v0;
      v3 := logxor (rotate !v3 16) !v2;
      v0 := add (rotate !v0 32) !v3;
      v2 := add !v2 !v1;
      v1 := logxor (rotate !v1 17) !v2;
      v3 := logxor (rotate !v3 21) !v0;
      v2 := rotate !v2 32
    done;
    v0 := logxor !v0 word
  done;
  logxor (logxor !v0 !v1) (logxor !v2 !v3)

let hash key message = Int64.to_int (hash64 key message) land max_int
