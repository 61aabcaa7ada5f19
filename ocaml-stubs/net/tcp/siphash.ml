type key = { k0 : int64; k1 : int64 }

let key s = { k0 = String.get_int64_le s 0; k1 = String.get_int64_le s 8 }

let hash64 { k0; k1 } message =
  let open Int64 in
  let rotate x n = logor (shift_left x n) (shift_right_logical x (64 - n)) in
  let v0 = ref (logxor k0 0x736f6d6570736575L) in
  let v1 = ref (logxor k1 0x646f72616e646f6dL) in
  let v2 = ref (logxor k0 0x6c7967656e657261L) in
  let v3 = ref (logxor k1 0x7465646279746573L) in
  let round () =
    v0 := add !v0 !v1;
    v1 := logxor (rotate !v1 13) !v0;
    v0 := rotate !v0 32;
    v2 := add !v2 !v3;
    v3 := logxor (rotate !v3 16) !v2;
    v0 := add !v0 !v3;
    v3 := logxor (rotate !v3 21) !v0;
    v2 := add !v2 !v1;
    v1 := logxor (rotate !v1 17) !v2;
    v2 := rotate !v2 32
  in
  let word m =
    v3 := logxor !v3 m;
    round ();
    round ();
    v0 := logxor !v0 m
  in
  let length = String.length message in
  for i = 0 to (length / 8) - 1 do
    word (String.get_int64_le message (8 * i))
  done;
  let last = ref (shift_left (of_int length) 56) in
  for i = 0 to (length land 7) - 1 do
    let octet = of_int (Char.code message.[length - (length land 7) + i]) in
    last := logor !last (shift_left octet (8 * i))
  done;
  word !last;
  v2 := logxor !v2 0xffL;
  round ();
  round ();
  round ();
  round ();
  logxor (logxor !v0 !v1) (logxor !v2 !v3)

let hash key message = Int64.to_int (hash64 key message) land max_int
