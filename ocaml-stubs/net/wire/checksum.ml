external get64 : Cstruct.buffer -> int -> int64 = "%caml_bigstring_get64u"
external get16 : Cstruct.buffer -> int -> int = "%caml_bigstring_get16u"
external get_int32 : Cstruct.buffer -> int -> int32 = "%caml_bigstring_get32u"
external swap16 : int -> int = "%bswap16"

let get32 buffer i = Int32.to_int (get_int32 buffer i) land 0xffff_ffff [@@inline]

type sum = int

let zero = 0
let rec fold s = if s > 0xffff then fold ((s lsr 16) + (s land 0xffff)) else s

(* Swapped octets are 256 times as much: 2^16 counts as 1. So a sum need not be folded for it, as long as it is not of
   megabytes, and that is done once. *)
let network s = if Sys.big_endian then s else s lsl 8 [@@inline]

(* Words are summed in the machine's byte order, 64 bits at a time, and the result is swapped once: the sum does not
   depend on byte order (RFC 1071 section 2(B)). What is wanted is the sum of all 32-bit halves. *)
let ( ++ ) = Int64.add
let low v = Int64.logand v 0xffffffffL [@@inline]
let high v = Int64.shift_right_logical v 32 [@@inline]

(* From [i] to before [stop], for few octets. *)
let few buffer i stop =
  let i = ref i and sum = ref 0L in
  while !i + 8 <= stop do
    let v = get64 buffer !i in
    sum := !sum ++ low v ++ high v;
    i := !i + 8
  done;
  let sum = ref (Int64.to_int !sum) in
  if !i + 4 <= stop then (
    sum := !sum + get32 buffer !i;
    i := !i + 4);
  if !i + 2 <= stop then (
    sum := !sum + get16 buffer !i;
    i := !i + 2);
  if !i < stop then
    let last = Char.code (Bigarray.Array1.unsafe_get buffer !i) in
    !sum + if Sys.big_endian then last lsl 8 else last
  else !sum

(* A buffer as an array of 64-bit words, the last of which may not be whole. The type of the elements is all that the
   compiler goes by in an unchecked access, which then is one instruction: one at an offset in octets takes four. *)
type words = (int64, Bigarray.int64_elt, Bigarray.c_layout) Bigarray.Array1.t

external as_words : Cstruct.buffer -> words = "%identity"
external ( .%[] ) : words -> int -> int64 = "%caml_ba_unsafe_ref_1"

(* The words from number [first] to before [stop]. The high halves are summed as they are. The sum of the words, with
   whatever carries are lost, is that of the low halves and 2^32 times that of the high ones: so the low halves are what
   is left. Without an instruction that adds a carry that is the least work. *)
let many buffer first stop =
  let words = as_words buffer in
  let i = ref first and sum = ref 0L and highs = ref 0L in
  while !i + 8 <= stop do
    let p = !i in
    let v0 = words.%[p] and v1 = words.%[p + 1] and v2 = words.%[p + 2] and v3 = words.%[p + 3] in
    sum := !sum ++ v0 ++ v1 ++ v2 ++ v3;
    highs := !highs ++ high v0 ++ high v1 ++ high v2 ++ high v3;
    let v4 = words.%[p + 4]
    and v5 = words.%[p + 5]
    and v6 = words.%[p + 6]
    and v7 = words.%[p + 7] in
    sum := !sum ++ v4 ++ v5 ++ v6 ++ v7;
    highs := !highs ++ high v4 ++ high v5 ++ high v6 ++ high v7;
    i := p + 8
  done;
  while !i < stop do
    let v = words.%[!i] in
    sum := !sum ++ v;
    highs := !highs ++ high v;
    incr i
  done;
  let lows = Int64.sub !sum (Int64.shift_left !highs 32) in
  Int64.to_int lows + Int64.to_int !highs

let native buffer off len =
  let stop = off + len in
  if len < 64 then few buffer off stop
  else
    let first = (off + 7) lsr 3 and last = stop lsr 3 in
    let head = few buffer off (first * 8) in
    let rest = many buffer first last + few buffer (last * 8) stop in
    (* Behind an odd number of octets all others are the other way round. *)
    head + if off land 1 = 1 then swap16 (fold rest) else rest

let folded (b : Cstruct.t) = fold (network (fold (native b.buffer b.off b.len)))

(* From about this size on a call is worth it. *)
let large = 128
let large_sum = ref folded
let use_for_large f = large_sum := f

let part (b : Cstruct.t) =
  if b.len < large then network (native b.buffer b.off b.len) else !large_sum b
[@@inline]

let bytes s b = s + part b

let range s (b : Cstruct.t) off len =
  if off < 0 || len < 0 || off > b.len - len then invalid_arg "Checksum.range";
  let sum = native b.buffer (b.off + off) len in
  s + network (if len < large then sum else fold sum)

(* An IPv4 header without options: it is looked at for each packet. *)
let twenty (b : Cstruct.t) off =
  if off < 0 || off > b.len - 20 then invalid_arg "Checksum.twenty";
  let i = b.off + off in
  let v = get64 b.buffer i and w = get64 b.buffer (i + 8) in
  network (Int64.to_int (low v ++ high v ++ low w ++ high w) + get32 b.buffer (i + 16))

let fragments s l =
  (* A fragment that starts at an odd offset has every word split across two: its octets are the other way round. *)
  let rec go s odd = function
    | [] -> s
    | b :: rest ->
        let part = part b in
        let part = if odd then fold part lsl 8 else part in
        go (s + part) (odd <> (Cstruct.length b land 1 = 1)) rest
  in
  go s false l

(* Both halves: 2^16 counts as 1, as {!fold} has it. *)
let word s w = s + w

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
