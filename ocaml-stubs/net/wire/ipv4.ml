let min_header_length = 20
let max_length = 0xffff

type t = {
  src : Ipaddr.V4.t;
  dst : Ipaddr.V4.t;
  proto : int;
  ttl : int;
  tos : int;
  id : int;
  dont_fragment : bool;
  more_fragments : bool;
  fragment_offset : int;
  options : Cstruct.t;
  payload_length : int;
}

type error =
  | Truncated
  | Bad_version of int
  | Bad_header_length of int
  | Bad_checksum
  | Bad_fragment

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated IPv4 packet"
  | Bad_version n -> Fmt.pf ppf "IP version %d instead of 4" n
  | Bad_header_length n -> Fmt.pf ppf "IPv4 header length of %d bytes" n
  | Bad_checksum -> Fmt.string ppf "bad IPv4 header checksum"
  | Bad_fragment -> Fmt.string ppf "impossible IPv4 fragment"

let pp ppf t =
  Fmt.pf ppf "%a -> %a: proto %d, %d bytes, ttl %d" Ipaddr.V4.pp t.src Ipaddr.V4.pp t.dst t.proto
    t.payload_length t.ttl;
  if t.more_fragments || t.fragment_offset > 0 then
    Fmt.pf ppf ", fragment %d of %d%s" t.fragment_offset t.id (if t.more_fragments then "+" else "")

let header_length t = min_header_length + Cstruct.length t.options
let is_fragment t = t.more_fragments || t.fragment_offset > 0

let read b ~header_length ~total =
  let flags = Field.u16 b 6 in
  let more_fragments = flags land 0x2000 <> 0 in
  let fragment_offset = flags land 0x1fff * 8 in
  let payload_length = total - header_length in
  if fragment_offset + payload_length > 0xffff || (more_fragments && payload_length land 7 <> 0)
  then Error Bad_fragment
  else
    Ok
      {
        tos = Field.u8 b 1;
        id = Field.u16 b 4;
        dont_fragment = flags land 0x4000 <> 0;
        more_fragments;
        fragment_offset;
        ttl = Field.u8 b 8;
        proto = Field.u8 b 9;
        src = Field.v4 b 12;
        dst = Field.v4 b 16;
        options =
          (if header_length = min_header_length then Cstruct.empty
           else Cstruct.sub b min_header_length (header_length - min_header_length));
        payload_length;
      }

let check b ~quoted =
  let length = Cstruct.length b in
  if length < min_header_length then Error Truncated
  else
    let version = Field.u8 b 0 lsr 4 and header_length = Field.u8 b 0 land 15 * 4 in
    let total = Field.u16 b 2 in
    if version <> 4 then Error (Bad_version version)
    else if header_length < min_header_length || header_length > total then
      Error (Bad_header_length header_length)
    else if length < if quoted then header_length else total then Error Truncated
    else if
      (not quoted)
      && not (Checksum.is_valid (Checksum.bytes Checksum.zero (Cstruct.sub b 0 header_length)))
    then Error Bad_checksum
    else read b ~header_length ~total

let parse b = check b ~quoted:false
let header_of_packet b = check b ~quoted:true
let payload t b = Cstruct.sub b (header_length t) t.payload_length

let plain_length b ~at =
  if at < 0 || Cstruct.length b - at < min_header_length then -1
  else
    let first = Field.u32 b at in
    let total = first land 0xffff in
    let is_plain =
      first lsr 24 = 0x45
      && total >= min_header_length
      && Cstruct.length b - at >= total
      && Field.u16 b (at + 6) land 0x3fff = 0
      && Checksum.is_valid (Checksum.twenty b at)
    in
    if is_plain then total else -1

let get_tos b ~at = Field.u8 b (at + 1) [@@inline]
let get_proto b ~at = Field.u8 b (at + 9) [@@inline]
let get_src b ~at = Field.u32 b (at + 12) [@@inline]
let get_dst b ~at = Field.u32 b (at + 16) [@@inline]
let set_total_length b n = Field.set_u16 b 2 n
let set_id b n = Field.set_u16 b 4 n

let set_checksum b ~header_length =
  Field.set_u16 b 10 0;
  Field.set_u16 b 10
    (Checksum.finish (Checksum.bytes Checksum.zero (Cstruct.sub b 0 header_length)))

let emit t b =
  let options = Cstruct.length t.options in
  let header_length = min_header_length + options in
  let total = header_length + t.payload_length in
  if options > 40 || options land 3 <> 0 then invalid_arg "Ipv4.emit: options";
  if t.payload_length < 0 || total > 0xffff then invalid_arg "Ipv4.emit: payload_length";
  if t.fragment_offset land 7 <> 0 || t.fragment_offset > 0xfff8 then
    invalid_arg "Ipv4.emit: fragment_offset";
  Field.set_u8 b 0 (0x40 lor (header_length / 4));
  Field.set_u8 b 1 t.tos;
  Field.set_u16 b 2 total;
  Field.set_u16 b 4 t.id;
  Field.set_u16 b 6
    ((if t.dont_fragment then 0x4000 else 0)
    lor (if t.more_fragments then 0x2000 else 0)
    lor (t.fragment_offset / 8));
  Field.set_u8 b 8 t.ttl;
  Field.set_u8 b 9 t.proto;
  Field.set_v4 b 12 t.src;
  Field.set_v4 b 16 t.dst;
  if options > 0 then Cstruct.blit t.options 0 b min_header_length options;
  set_checksum b ~header_length

let emit_plain ~src ~dst ~proto ~ttl ~tos ~id ~dont_fragment ~total b ~at =
  let first = 0x4500 lor tos and flags = if dont_fragment then 0x4000 else 0 in
  let ttl_proto = (ttl lsl 8) lor proto in
  let sum = Checksum.word Checksum.zero (first + total + (id land 0xffff) + flags + ttl_proto) in
  let checksum = Checksum.finish (Checksum.word (Checksum.word sum src) dst) in
  Field.set_u64 b at ((first lsl 16) lor total) ((id lsl 16) lor flags);
  Field.set_u64 b (at + 8) ((ttl_proto lsl 16) lor checksum) src;
  Field.set_u32 b (at + 16) dst
