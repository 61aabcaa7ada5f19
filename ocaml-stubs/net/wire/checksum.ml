external get64 : Cstruct.buffer -> int -> int64 = "%caml_bigstring_get64u"
external get16 : Cstruct.buffer -> int -> int = "%caml_bigstring_get16u"
external swap16 : int -> int = "%bswap16"

type sum = int

let zero = 0
let rec fold s = if s > 0xffff then fold ((s lsr 16) + (s land 0xffff)) else s
let network s = if Sys.big_endian then s else swap16 s [@@inline]

(* Words are summed in the machine's byte order, 64 bits at a time, and the result is swapped once: the sum does
   not depend on byte order (RFC 1071 section 2(B)). What is wanted is the sum of all 32-bit halves, which has room for
   2^32 of them. The high halves are summed as they are; the words, with whatever carries are lost, are the low halves
   and 2^32 times the high ones, and so the low halves are what is left. Without an add-with-carry that is the least
   work for a word: an addition, a shift and another addition. Offsets are [int64] for the sake of fewer instructions. *)
let ( ++ ) = Int64.add
let high v = Int64.shift_right_logical v 32 [@@inline]
let at i n = Int64.to_int (Int64.add i n) [@@inline]

let native buffer off len =
  let stop = Int64.of_int (off + len) in
  let i = ref (Int64.of_int off) and words = ref 0L and highs = ref 0L in
  while !i ++ 64L <= stop do
    let p = !i in
    let v0 = get64 buffer (at p 0L) and v1 = get64 buffer (at p 8L) in
    let v2 = get64 buffer (at p 16L) and v3 = get64 buffer (at p 24L) in
    words := !words ++ v0 ++ v1 ++ v2 ++ v3;
    highs := !highs ++ high v0 ++ high v1 ++ high v2 ++ high v3;
    let v4 = get64 buffer (at p 32L) and v5 = get64 buffer (at p 40L) in
    let v6 = get64 buffer (at p 48L) and v7 = get64 buffer (at p 56L) in
    words := !words ++ v4 ++ v5 ++ v6 ++ v7;
    highs := !highs ++ high v4 ++ high v5 ++ high v6 ++ high v7;
    i := p ++ 64L
  done;
  while !i ++ 8L <= stop do
    let v = get64 buffer (at !i 0L) in
    words := !words ++ v;
    highs := !highs ++ high v;
    i := !i ++ 8L
  done;
  let lows = Int64.sub !words (Int64.shift_left !highs 32) in
  let sum = ref (Int64.to_int lows + Int64.to_int !highs) in
  let i = ref (Int64.to_int !i) and stop = off + len in
  while !i + 2 <= stop do
    sum := !sum + get16 buffer !i;
    i := !i + 2
  done;
  if !i < stop then
    let last = Char.code (Bigarray.Array1.unsafe_get buffer !i) in
    !sum + if Sys.big_endian then last lsl 8 else last
  else !sum

let folded (b : Cstruct.t) = network (fold (native b.buffer b.off b.len))

(* From about this size on a call is worth it. *)
let large = 128
let large_sum = ref folded
let use_for_large f = large_sum := f
let part (b : Cstruct.t) = if b.len < large then folded b else !large_sum b [@@inline]
let bytes s b = s + part b

let range s (b : Cstruct.t) off len =
  if off < 0 || len < 0 || off > b.len - len then invalid_arg "Checksum.range";
  s + network (fold (native b.buffer (b.off + off) len))

let fragments s l =
  (* A fragment that starts at an odd offset has every word split across two: swapping the bytes of
     its sum is the same as shifting it by one byte. *)
  let rec go s odd = function
    | [] -> s
    | b :: rest ->
        let part = part b in
        let part = if odd then swap16 part else part in
        go (s + part) (odd <> (Cstruct.length b land 1 = 1)) rest
  in
  go s false l

let word s w = s + (w lsr 16) + (w land 0xffff)
let subtract s part = s + (0xffff - fold part)

let pseudo_v4 ~src ~dst ~proto ~len =
  word (word (proto + len) (Field.int_of_v4 src)) (Field.int_of_v4 dst)

let octets s a =
  let r = ref s in
  for i = 0 to 7 do
    r := !r + String.get_uint16_be a (2 * i)
  done;
  !r

let pseudo_v6 ~src ~dst ~proto ~len =
  octets (octets (word proto len) (Ipaddr.V6.to_octets src)) (Ipaddr.V6.to_octets dst)

let finish s = lnot (fold s) land 0xffff
let is_valid s = fold s = 0xffff
let update field ~old ~now = finish ((lnot field land 0xffff) + (lnot old land 0xffff) + now)
