let min_header_length = 20
let checksum_offset = 16

module Flags = struct
  type t = int

  let fin = 0x01
  let syn = 0x02
  let rst = 0x04
  let psh = 0x08
  let ack = 0x10
  let urg = 0x20
  let ece = 0x40
  let cwr = 0x80
  let has set bits = set land bits <> 0 [@@inline]

  let pp ppf set =
    let letter (bit, c) = if has set bit then Fmt.char ppf c in
    List.iter letter
      [
        (syn, 'S');
        (fin, 'F');
        (rst, 'R');
        (psh, 'P');
        (ack, '.');
        (urg, 'U');
        (ece, 'E');
        (cwr, 'W');
      ]
end

type options = {
  mss : int;
  window_scale : int;
  sack_permitted : bool;
  sack : (int * int) list;
  ts_value : int;
  ts_echo : int;
}

let no_options =
  { mss = -1; window_scale = -1; sack_permitted = false; sack = []; ts_value = -1; ts_echo = -1 }

type t = {
  mutable src_port : int;
  mutable dst_port : int;
  mutable seq : int;
  mutable ack : int;
  mutable flags : Flags.t;
  mutable window : int;
  mutable urgent : int;
  mutable options : options;
  mutable header_length : int;
}

type error = Truncated | Bad_data_offset of int

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated TCP header"
  | Bad_data_offset n -> Fmt.pf ppf "TCP data offset of %d bytes" n

let pp_options ppf o =
  if o.mss >= 0 then Fmt.pf ppf " mss %d" o.mss;
  if o.window_scale >= 0 then Fmt.pf ppf " wscale %d" o.window_scale;
  if o.sack_permitted then Fmt.string ppf " sackOK";
  if o.ts_value >= 0 then Fmt.pf ppf " ts %d:%d" o.ts_value o.ts_echo;
  List.iter (fun (l, r) -> Fmt.pf ppf " sack %d-%d" l r) o.sack

let pp ppf t =
  Fmt.pf ppf "TCP %d -> %d [%a] seq %d ack %d win %d%a" t.src_port t.dst_port Flags.pp t.flags t.seq
    t.ack t.window pp_options t.options

let get_src_port b = Field.u16 b 0
let get_dst_port b = Field.u16 b 2
let get_seq b = Field.u32 b 4
let get_header_length b = (Field.u8 b 12 lsr 4) * 4
let get_flags b = Field.u8 b 13
let get_window b = Field.u16 b 14
let set_checksum b v = Field.set_u16 b checksum_offset v

(* Kinds of option (IANA TCP Option Kind Numbers). *)
let eol = 0
let nop = 1
let mss = 2
let window_scale = 3
let sack_permitted = 4
let sack = 5
let timestamps = 8

let rec sack_blocks b off stop =
  if off + 8 > stop then []
  else
    let block = (Field.u32 b off, Field.u32 b (off + 4)) in
    block :: sack_blocks b (off + 8) stop

(* Options while they are being found: [options] made anew for each would be five of them for a SYN. *)
module Found = struct
  type t = {
    mutable mss : int;
    mutable window_scale : int;
    mutable sack_permitted : bool;
    mutable sack : (int * int) list;
    mutable ts_value : int;
    mutable ts_echo : int;
  }

  let options o : options =
    {
      mss = o.mss;
      window_scale = o.window_scale;
      sack_permitted = o.sack_permitted;
      sack = o.sack;
      ts_value = o.ts_value;
      ts_echo = o.ts_echo;
    }
end

let parse_option (o : Found.t) b off kind len =
  if kind = mss && len = 4 then o.mss <- Field.u16 b (off + 2)
  else if kind = window_scale && len = 3 then o.window_scale <- Int.min 14 (Field.u8 b (off + 2))
  else if kind = sack_permitted && len = 2 then o.sack_permitted <- true
  else if kind = sack && len > 2 && len <= 34 && (len - 2) land 7 = 0 then
    o.sack <- sack_blocks b (off + 2) (off + len)
  else if kind = timestamps && len = 10 then (
    o.ts_value <- Field.u32 b (off + 2);
    o.ts_echo <- Field.u32 b (off + 6))

let rec parse_all o b off stop =
  if off < stop then
    let kind = Field.u8 b off in
    if kind = nop then parse_all o b (off + 1) stop
    else if kind <> eol && off + 2 <= stop then
      let len = Field.u8 b (off + 1) in
      if len >= 2 && off + len <= stop then (
        parse_option o b off kind len;
        parse_all o b (off + len) stop)

let parse_options b off stop =
  let o =
    {
      Found.mss = -1;
      window_scale = -1;
      sack_permitted = false;
      sack = [];
      ts_value = -1;
      ts_echo = -1;
    }
  in
  parse_all o b off stop;
  Found.options o

(* Two NOPs and the timestamps: the layout of nearly every data segment. *)
let aligned_timestamps = (nop lsl 24) lor (nop lsl 16) lor (timestamps lsl 8) lor 10

let stamped last ts_value ts_echo =
  if
    last.ts_value = ts_value && last.ts_echo = ts_echo && last.mss < 0 && last.window_scale < 0
    && (not last.sack_permitted) && last.sack == []
  then last
  else { no_options with ts_value; ts_echo }

(* What Linux sends, and we: MSS, SACK-permitted, timestamps, a NOP, window scale. *)
let is_usual_syn b =
  Field.u16 b 20 = (mss lsl 8) lor 4
  && Field.u32 b 24 = (sack_permitted lsl 24) lor (2 lsl 16) lor (timestamps lsl 8) lor 10
  && Field.u32 b 36 lsr 8 = (nop lsl 16) lor (window_scale lsl 8) lor 3

(* [last] serves again if it says the same: clocks tick in milliseconds, and segments come in microseconds. *)
let read_options b stop ~last =
  if stop = min_header_length then no_options
  else if stop = min_header_length + 12 && Field.u32 b min_header_length = aligned_timestamps then
    stamped last (Field.u32 b 24) (Field.u32 b 28)
  else if stop = min_header_length + 20 && is_usual_syn b then
    {
      mss = Field.u16 b 22;
      window_scale = Int.min 14 (Field.u8 b 39);
      sack_permitted = true;
      sack = [];
      ts_value = Field.u32 b 28;
      ts_echo = Field.u32 b 32;
    }
  else parse_options b min_header_length stop

let is_whole b =
  Cstruct.length b >= min_header_length
  &&
  let header_length = get_header_length b in
  header_length >= min_header_length && header_length <= Cstruct.length b

let create () =
  {
    src_port = 0;
    dst_port = 0;
    seq = 0;
    ack = 0;
    flags = 0;
    window = 0;
    urgent = 0;
    options = no_options;
    header_length = min_header_length;
  }

let read t b =
  let ports = Field.u32 b 0 and rest = Field.u32 b 12 in
  let header_length = (rest lsr 28) * 4 in
  t.src_port <- ports lsr 16;
  t.dst_port <- ports land 0xffff;
  t.seq <- Field.u32 b 4;
  t.ack <- Field.u32 b 8;
  t.flags <- (rest lsr 16) land 0xff;
  t.window <- rest land 0xffff;
  t.urgent <- Field.u16 b 18;
  let options = read_options b header_length ~last:t.options in
  if options != t.options then t.options <- options;
  t.header_length <- header_length

let parse b =
  if is_whole b then (
    let t = create () in
    read t b;
    Ok t)
  else if Cstruct.length b < min_header_length then Error Truncated
  else
    let header_length = get_header_length b in
    if header_length < min_header_length then Error (Bad_data_offset header_length)
    else Error Truncated

let payload t b = Cstruct.shift b t.header_length
let verify ~pseudo b = Checksum.is_valid (Checksum.bytes pseudo b)

(* Every option is preceded by enough NOPs to end on a multiple of four bytes. *)
let fixed_length o =
  (if o.mss >= 0 then 4 else 0)
  + (if o.ts_value >= 0 then 12 else if o.sack_permitted then 4 else 0)
  + if o.window_scale >= 0 then 4 else 0

let sack_fitting o =
  match o.sack with [] -> 0 | l -> Int.min (List.length l) ((40 - fixed_length o - 4) / 8)

let options_length o =
  let n = sack_fitting o in
  fixed_length o + if n = 0 then 0 else 4 + (8 * n)

let word a b c d = (a lsl 24) lor (b lsl 16) lor (c lsl 8) lor d

let rec emit_sack b at n = function
  | (left, right) :: rest when n > 0 ->
      Field.set_u32 b at left;
      Field.set_u32 b (at + 4) right;
      emit_sack b (at + 8) (n - 1) rest
  | _ -> at

(* Writes the options from [at] on, and gives where they end. *)
let emit_options o b at =
  let at =
    if o.mss >= 0 then (
      Field.set_u32 b at (word mss 4 (o.mss lsr 8) (o.mss land 0xff));
      at + 4)
    else at
  in
  let at =
    if o.ts_value >= 0 then (
      (* SACK-permitted takes the place of the two NOPs. *)
      Field.set_u64 b at
        (if o.sack_permitted then word sack_permitted 2 timestamps 10 else aligned_timestamps)
        o.ts_value;
      Field.set_u32 b (at + 8) o.ts_echo;
      at + 12)
    else if o.sack_permitted then (
      Field.set_u32 b at (word nop nop sack_permitted 2);
      at + 4)
    else at
  in
  let at =
    if o.window_scale >= 0 then (
      Field.set_u32 b at (word nop window_scale 3 o.window_scale);
      at + 4)
    else at
  in
  let n = sack_fitting o in
  if n > 0 then (
    Field.set_u32 b at (word nop nop sack (2 + (8 * n)));
    emit_sack b (at + 4) n o.sack)
  else at

let emit_part t ~seq ~flags b ~at =
  let header_length =
    if t.options == no_options then min_header_length
    else emit_options t.options b (at + min_header_length) - at
  in
  Field.set_u64 b at ((t.src_port lsl 16) lor t.dst_port) seq;
  Field.set_u64 b (at + 8) t.ack ((header_length lsl 26) lor (flags lsl 16) lor t.window);
  (* No checksum yet. *)
  Field.set_u32 b (at + checksum_offset) (t.urgent land 0xffff);
  header_length

let emit t b = emit_part t ~seq:t.seq ~flags:t.flags b ~at:0
