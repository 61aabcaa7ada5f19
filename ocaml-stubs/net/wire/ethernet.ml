let header_length = 14

type proto = [ `ARP | `IPv4 | `IPv6 ]
type t = { source : Macaddr.t; destination : Macaddr.t; proto : proto }
type error = Truncated | Unknown_ethertype of int

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated Ethernet header"
  | Unknown_ethertype n -> Fmt.pf ppf "unknown ethertype 0x%04x" n

let ethertype = function `ARP -> 0x0806 | `IPv4 -> 0x0800 | `IPv6 -> 0x86dd

let pp_proto ppf p =
  Fmt.string ppf (match p with `ARP -> "ARP" | `IPv4 -> "IPv4" | `IPv6 -> "IPv6")

let pp ppf t =
  Fmt.pf ppf "%a -> %a: %a" Macaddr.pp t.source Macaddr.pp t.destination pp_proto t.proto

(* IEEE 802.1Q: a tag is two bytes of ethertype, three bits of priority, one of drop eligibility and
   twelve of the network's number; number 0 is no network of its own, but a frame with a priority. *)
let tag_length = 4
let tag = 0x8100

let is_priority_tagged b =
  Field.u16 b 12 = tag
  && Cstruct.length b >= header_length + tag_length
  && Field.u16 b 14 land 0xfff = 0

let get_ethertype b = if is_priority_tagged b then Field.u16 b 16 else Field.u16 b 12

let proto b =
  if Cstruct.length b < header_length then None
  else
    match get_ethertype b with
    | 0x0800 -> Some `IPv4
    | 0x86dd -> Some `IPv6
    | 0x0806 -> Some `ARP
    | _ -> None

let parse b =
  if Cstruct.length b < header_length then Error Truncated
  else
    match proto b with
    | Some proto -> Ok { destination = Field.mac b 0; source = Field.mac b 6; proto }
    | None -> Error (Unknown_ethertype (get_ethertype b))

let payload_start b = if is_priority_tagged b then header_length + tag_length else header_length
let payload b = Cstruct.shift b (payload_start b)

let emit t b =
  Field.set_mac b 0 t.destination;
  Field.set_mac b 6 t.source;
  Field.set_u16 b 12 (ethertype t.proto)

(* The octets of the header as numbers: four, four, four and two. *)
type last = {
  source : Macaddr.t;
  mutable destination : Macaddr.t;
  mutable proto : proto;
  mutable first : int;
  mutable second : int;
  mutable third : int;
  mutable fourth : int;
}

let number last ~destination proto =
  let b = Cstruct.create header_length in
  emit { source = last.source; destination; proto } b;
  last.destination <- destination;
  last.proto <- proto;
  last.first <- Field.u32 b 0;
  last.second <- Field.u32 b 4;
  last.third <- Field.u32 b 8;
  last.fourth <- Field.u16 b 12

let last ~source =
  let destination = Macaddr.broadcast in
  let last = { source; destination; proto = `ARP; first = 0; second = 0; third = 0; fourth = 0 } in
  number last ~destination `ARP;
  last

let emit_like last ~destination proto b =
  if not (destination == last.destination && proto == last.proto) then
    number last ~destination proto;
  Field.set_u64 b 0 last.first last.second;
  Field.set_u32 b 8 last.third;
  Field.set_u16 b 12 last.fourth

let is_group b = Field.u8 b 0 land 1 = 1

(* What comes back would be taken for that of another station with our addresses. *)
let is_for_station number b = if is_group b then Field.u48 b 6 <> number else Field.u48 b 0 = number

let is_plain_ipv4 number b =
  Cstruct.length b >= header_length && Field.u16 b 12 = 0x0800 && Field.u48 b 0 = number
