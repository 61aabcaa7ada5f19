external get16 : Cstruct.buffer -> int -> int = "%caml_bigstring_get16u"
external get32 : Cstruct.buffer -> int -> int32 = "%caml_bigstring_get32u"
external set16 : Cstruct.buffer -> int -> int -> unit = "%caml_bigstring_set16u"
external set32 : Cstruct.buffer -> int -> int32 -> unit = "%caml_bigstring_set32u"
external set64 : Cstruct.buffer -> int -> int64 -> unit = "%caml_bigstring_set64u"
external swap16 : int -> int = "%bswap16"
external swap32 : int32 -> int32 = "%bswap_int32"
external swap64 : int64 -> int64 = "%bswap_int64"

let out_of_bounds i n = invalid_arg (Fmt.str "Field: %d bytes at offset %d" n i) [@@inline never]

(* The primitives above are unchecked: this test is the only bound. A Cstruct.t never points
   outside its buffer, so the view's own length is enough. *)
let check (b : Cstruct.t) i n = if i < 0 || i > b.len - n then out_of_bounds i n [@@inline]

let u8 (b : Cstruct.t) i =
  check b i 1;
  Char.code (Bigarray.Array1.unsafe_get b.buffer (b.off + i))
[@@inline]

let u16 (b : Cstruct.t) i =
  check b i 2;
  let v = get16 b.buffer (b.off + i) in
  if Sys.big_endian then v else swap16 v
[@@inline]

let u32 (b : Cstruct.t) i =
  check b i 4;
  let v = get32 b.buffer (b.off + i) in
  Int32.to_int (if Sys.big_endian then v else swap32 v) land 0xffffffff
[@@inline]

let set_u8 (b : Cstruct.t) i v =
  check b i 1;
  Bigarray.Array1.unsafe_set b.buffer (b.off + i) (Char.unsafe_chr (v land 0xff))
[@@inline]

let set_u16 (b : Cstruct.t) i v =
  check b i 2;
  set16 b.buffer (b.off + i) (if Sys.big_endian then v else swap16 v)
[@@inline]

let set_u32 (b : Cstruct.t) i v =
  check b i 4;
  let v = Int32.of_int v in
  set32 b.buffer (b.off + i) (if Sys.big_endian then v else swap32 v)
[@@inline]

let set_u64 (b : Cstruct.t) i high low =
  check b i 8;
  let v =
    Int64.logor (Int64.shift_left (Int64.of_int high) 32) (Int64.of_int (low land 0xffffffff))
  in
  set64 b.buffer (b.off + i) (if Sys.big_endian then v else swap64 v)
[@@inline]

let mac_number m =
  let m = Macaddr.to_octets m in
  (String.get_uint16_be m 0 lsl 32) lor (Int32.to_int (String.get_int32_be m 2) land 0xffffffff)

let u48 b i = (u16 b i lsl 32) lor u32 b (i + 2) [@@inline]
let mac b i = Macaddr.of_octets_exn (Cstruct.to_string ~off:i ~len:6 b)

let set_mac b i m =
  let m = Macaddr.to_octets m in
  set_u16 b i (String.get_uint16_be m 0);
  set_u32 b (i + 2) (Int32.to_int (String.get_int32_be m 2))

let int_of_v4 a = Int32.to_int (Ipaddr.V4.to_int32 a) land 0xffffffff [@@inline]
let v4_of_int n = Ipaddr.V4.of_int32 (Int32.of_int n)
let v4 b i = v4_of_int (u32 b i)
let set_v4 b i a = set_u32 b i (int_of_v4 a)
let v6 b i = Ipaddr.V6.of_octets_exn (Cstruct.to_string ~off:i ~len:16 b)
let set_v6 b i a = Cstruct.blit_from_string (Ipaddr.V6.to_octets a) 0 b i 16
let zero b off len = Cstruct.memset (Cstruct.sub b off len) 0
