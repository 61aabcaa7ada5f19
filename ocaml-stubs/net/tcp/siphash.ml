type key = { k0 : int64; k1 : int64 }

let key s = { k0 = String.get_int64_le s 0; k1 = String.get_int64_le s 8 }

external get : Bytes.t -> int -> int64 = "%caml_bytes_get64"
external set : Bytes.t -> int -> int64 -> unit = "%caml_bytes_set64"

(* The four words of the state, in octets: as an [int64] that outlives a function each would be a block on the heap,
   and so would every new value of it. *)
let state = Bytes.create 32
let rotate x n = Int64.(logor (shift_left x n) (shift_right_logical x (64 - n))) [@@inline]

let round () =
  let open Int64 in
  let v0 = get state 0 and v1 = get state 8 and v2 = get state 16 and v3 = get state 24 in
  let v0 = add v0 v1 and v2 = add v2 v3 in
  let v1 = logxor (rotate v1 13) v0 and v3 = logxor (rotate v3 16) v2 in
  let v0 = add (rotate v0 32) v3 and v2 = add v2 v1 in
  set state 0 v0;
  set state 8 (logxor (rotate v1 17) v2);
  set state 16 (rotate v2 32);
  set state 24 (logxor (rotate v3 21) v0)

let mix at v = set state at (Int64.logxor (get state at) v) [@@inline]

let word m =
  mix 24 m;
  round ();
  round ();
  mix 0 m
[@@inline]

let hash64 { k0; k1 } message =
  let open Int64 in
  set state 0 (logxor k0 0x736f6d6570736575L);
  set state 8 (logxor k1 0x646f72616e646f6dL);
  set state 16 (logxor k0 0x6c7967656e657261L);
  set state 24 (logxor k1 0x7465646279746573L);
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
  mix 16 0xffL;
  round ();
  round ();
  round ();
  round ();
  logxor (logxor (get state 0) (get state 8)) (logxor (get state 16) (get state 24))

let hash key message = Int64.to_int (hash64 key message) land max_int
