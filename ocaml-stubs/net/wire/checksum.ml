external get64 : Cstruct.buffer -> int -> int64 = "%caml_bigstring_get64u"
external get16 : Cstruct.buffer -> int -> int = "%caml_bigstring_get16u"
external swap16 : int -> int = "%bswap16"

type sum = int

let zero = 0
let rec fold s = if s > 0xffff then fold ((s lsr 16) + (s land 0xffff)) else s
let network s = if Sys.big_endian then s else swap16 s [@@inline]
let low v = Int64.logand v 0xffffffffL [@@inline]
let high v = Int64.shift_right_logical v 32 [@@inline]
let ( ++ ) = Int64.add

(* Words are summed in the machine's byte order, two 32-bit halves of a 64-bit load at a time, and
   the result is swapped once: the sum does not depend on byte order (RFC 1071 section 2(B)). Such a
   sum has room for 2^30 halves, far more than a frame, also as a native integer. While it is an [int64] it
   lies in a register as it is, where an integer would be tagged with each half. *)
let native buffer off len =
  let stop = off + len in
  let i = ref off and s0 = ref 0L and s1 = ref 0L in
  while !i + 32 <= stop do
    let p = !i in
    let v0 = get64 buffer p
    and v1 = get64 buffer (p + 8)
    and v2 = get64 buffer (p + 16)
    and v3 = get64 buffer (p + 24) in
    s0 := !s0 ++ low v0 ++ low v1 ++ low v2 ++ low v3;
    s1 := !s1 ++ high v0 ++ high v1 ++ high v2 ++ high v3;
    i := p + 32
  done;
  while !i + 8 <= stop do
    let v = get64 buffer !i in
    s0 := !s0 ++ low v;
    s1 := !s1 ++ high v;
    i := !i + 8
  done;
  let s0 = ref (Int64.to_int !s0) and s1 = ref (Int64.to_int !s1) in
  while !i + 2 <= stop do
    s0 := !s0 + get16 buffer !i;
    i := !i + 2
  done;
  (if !i < stop then
     let last = Char.code (Bigarray.Array1.unsafe_get buffer !i) in
     s1 := !s1 + if Sys.big_endian then last lsl 8 else last);
  !s0 + !s1

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
