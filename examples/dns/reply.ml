let format_error = 1
let server_failure = 2
let not_implemented = 4
let refused = 5
let bad_version = 16

(* 1280 bytes without the headers of IPv6 and UDP. *)
let max_datagram = 1232
let header_length = 12
let opt_length = 11
let type_opt = 41

type body = {
  flags : int; (* AA, and the code, whose upper bits go into the OPT record *)
  answers : int;
  authorities : int;
  additional : int;
  records : string;
  required : int; (* bytes of the records that are not additional *)
}

let size b = String.length b.records

let empty ~rcode =
  { flags = rcode; answers = 0; authorities = 0; additional = 0; records = ""; required = 0 }

(* {1 Compression} *)

(* The end of the name that begins at [at]. *)
let rec name_end s at = match s.[at] with '\000' -> at + 1 | n -> name_end s (at + 1 + Char.code n)

(* What has been written, from offset [base] of the message on, and the offsets of names in it. *)
type output = { base : int; buffer : Buffer.t; known : (string, int) Hashtbl.t }

let offset out = out.base + Buffer.length out.buffer
let max_pointer = 0x3fff

(* Records that the name that ends at [stop], with its suffixes, is at [offset]. *)
let rec note known s at ~stop ~offset =
  if s.[at] <> '\000' && offset <= max_pointer then (
    Hashtbl.replace known (String.lowercase_ascii (String.sub s at (stop - at))) offset;
    let length = 1 + Char.code s.[at] in
    note known s (at + length) ~stop ~offset:(offset + length))

(* Writes the name at [at], whose first byte will be at [offset]. *)
let add_name known buffer s at ~offset =
  let stop = name_end s at in
  let rec go at' =
    if s.[at'] = '\000' then Buffer.add_char buffer '\000'
    else
      match Hashtbl.find_opt known (String.lowercase_ascii (String.sub s at' (stop - at'))) with
      | Some place -> Buffer.add_uint16_be buffer (0xc000 lor place)
      | None ->
          let length = 1 + Char.code s.[at'] in
          let here = offset + at' - at in
          if here <= max_pointer then
            Hashtbl.replace known (String.lowercase_ascii (String.sub s at' (stop - at'))) here;
          Buffer.add_substring buffer s at' length;
          go (at' + length)
  in
  go at;
  stop

(* The data of a record. Names may only be compressed in the oldest types (RFC 3597 section 4): the number of
   bytes before the first name, and the number of names. *)
let names_of = function
  | 2 | 5 | 12 (* NS, CNAME, PTR *) -> (0, 1)
  | 15 (* MX *) -> (2, 1)
  | 6 (* SOA *) -> (0, 2)
  | _ -> (0, 0)

let data out ~kind s at ~stop ~offset =
  let first, names = names_of kind in
  let buffer = Buffer.create 64 in
  Buffer.add_substring buffer s at first;
  let rec go at n =
    if n = 0 then Buffer.add_substring buffer s at (stop - at)
    else go (add_name out.known buffer s at ~offset:(offset + Buffer.length buffer)) (n - 1)
  in
  go (at + first) names;
  Buffer.contents buffer

(* Writes [n] records that begin at [at]. Returns where the next one begins. *)
let rec add_records out s at n =
  if n = 0 then at
  else
    let fields = add_name out.known out.buffer s at ~offset:(offset out) in
    let kind = String.get_uint16_be s fields and start = fields + 10 in
    let stop = start + String.get_uint16_be s (fields + 8) in
    let data = data out ~kind s start ~stop ~offset:(offset out + 10) in
    (* Type, class and time to live are unchanged; the length may differ. *)
    Buffer.add_substring out.buffer s fields 8;
    Buffer.add_uint16_be out.buffer (String.length data);
    Buffer.add_string out.buffer data;
    add_records out s stop (n - 1)

let body ~name s =
  let count i = String.get_uint16_be s (2 + (2 * i)) in
  let known = Hashtbl.create 16 in
  note known name 0 ~stop:(String.length name) ~offset:header_length;
  let out = { base = header_length + String.length name + 4; buffer = Buffer.create 512; known } in
  let at = add_records out s 8 (count 0 + count 1) in
  let required = Buffer.length out.buffer in
  ignore (add_records out s at (count 2) : int);
  let flags = String.get_uint16_be s 0 in
  let records = Buffer.contents out.buffer in
  (* A delegation is useless without the servers' addresses (RFC 9471). *)
  let referral = flags land 0x0400 = 0 in
  let required = if referral then String.length records else required in
  { flags; answers = count 0; authorities = count 1; additional = count 2; records; required }

(* {1 Messages} *)

let set_header b (h : Query.header) ~flags ~questions body ~opt =
  let set = Cstruct.BE.set_uint16 b in
  set 0 h.id;
  set 2
    (0x8000 lor (h.opcode lsl 11)
    lor (if h.recursion_desired then 0x0100 else 0)
    lor (flags land 0x060f));
  set 4 questions;
  set 6 body.answers;
  set 8 body.authorities;
  set 10 (body.additional + opt)

let set_opt b at (edns : Query.edns) ~rcode =
  Cstruct.set_uint8 b at 0;
  Cstruct.BE.set_uint16 b (at + 1) type_opt;
  Cstruct.BE.set_uint16 b (at + 3) max_datagram;
  Cstruct.set_uint8 b (at + 5) (rcode lsr 4);
  Cstruct.set_uint8 b (at + 6) 0;
  Cstruct.BE.set_uint16 b (at + 7) (if edns.dnssec_ok then 0x8000 else 0);
  Cstruct.BE.set_uint16 b (at + 9) 0

let truncated = 0x0200

(* The records that fit, and their size in bytes. *)
let fit body room =
  if String.length body.records <= room then (body, String.length body.records)
  else if body.required <= room then ({ body with additional = 0 }, body.required)
  else
    let flags = body.flags lor truncated in
    ({ body with flags; answers = 0; authorities = 0; additional = 0 }, 0)

let message ~limit header (question : Query.question) edns body =
  let name = String.length question.name in
  let start = header_length + name + 4 in
  let opt = if Option.is_some edns then opt_length else 0 in
  let body, length = fit body (limit - start - opt) in
  let b = Cstruct.create_unsafe (start + length + opt) in
  set_header b header ~flags:body.flags ~questions:1 body ~opt:(min opt 1);
  Cstruct.blit_from_string question.name 0 b header_length name;
  Cstruct.BE.set_uint16 b (header_length + name) question.kind;
  Cstruct.BE.set_uint16 b (header_length + name + 2) question.class_;
  Cstruct.blit_from_string body.records 0 b start length;
  Option.iter (fun edns -> set_opt b (start + length) edns ~rcode:(body.flags land 0xff)) edns;
  b

let failure header ~rcode =
  let b = Cstruct.create_unsafe header_length in
  set_header b header ~flags:rcode ~questions:0 (empty ~rcode) ~opt:0;
  b
