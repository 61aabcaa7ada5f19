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

let get_ethertype b = Field.u16 b 12

let parse b =
  if Cstruct.length b < header_length then Error Truncated
  else
    let ok proto = Ok { destination = Field.mac b 0; source = Field.mac b 6; proto } in
    match get_ethertype b with
    | 0x0800 -> ok `IPv4
    | 0x86dd -> ok `IPv6
    | 0x0806 -> ok `ARP
    | n -> Error (Unknown_ethertype n)

let payload b = Cstruct.shift b header_length

let emit t b =
  Field.set_mac b 0 t.destination;
  Field.set_mac b 6 t.source;
  Field.set_u16 b 12 (ethertype t.proto)

let is_for mac b =
  Field.u8 b 0 land 1 = 1
  ||
  let m = Macaddr.to_octets mac in
  Field.u32 b 0 = Int32.to_int (String.get_int32_be m 0) land 0xffffffff
  && Field.u16 b 4 = String.get_uint16_be m 4
