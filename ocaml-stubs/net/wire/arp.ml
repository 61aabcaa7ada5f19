let length = 28

type operation = Request | Reply

type t = {
  operation : operation;
  sender_mac : Macaddr.t;
  sender_ip : Ipaddr.V4.t;
  target_mac : Macaddr.t;
  target_ip : Ipaddr.V4.t;
}

type error = Truncated | Unsupported | Unknown_operation of int

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated ARP packet"
  | Unsupported -> Fmt.string ppf "ARP for another hardware or protocol"
  | Unknown_operation n -> Fmt.pf ppf "unknown ARP operation %d" n

let pp ppf t =
  match t.operation with
  | Request ->
      Fmt.pf ppf "who-has %a tell %a (%a)" Ipaddr.V4.pp t.target_ip Ipaddr.V4.pp t.sender_ip
        Macaddr.pp t.sender_mac
  | Reply -> Fmt.pf ppf "%a is-at %a" Ipaddr.V4.pp t.sender_ip Macaddr.pp t.sender_mac

let equal a b =
  a.operation = b.operation
  && Macaddr.compare a.sender_mac b.sender_mac = 0
  && Ipaddr.V4.compare a.sender_ip b.sender_ip = 0
  && Macaddr.compare a.target_mac b.target_mac = 0
  && Ipaddr.V4.compare a.target_ip b.target_ip = 0

(* Ethernet, IPv4, address lengths 6 and 4: the first six bytes of every packet here. *)
let hardware_and_protocol = 0x00010800
let address_lengths = 0x0604

let parse b =
  if Cstruct.length b < length then Error Truncated
  else if Field.u32 b 0 <> hardware_and_protocol || Field.u16 b 4 <> address_lengths then
    Error Unsupported
  else
    let ok operation =
      Ok
        {
          operation;
          sender_mac = Field.mac b 8;
          sender_ip = Field.v4 b 14;
          target_mac = Field.mac b 18;
          target_ip = Field.v4 b 24;
        }
    in
    match Field.u16 b 6 with 1 -> ok Request | 2 -> ok Reply | n -> Error (Unknown_operation n)

let emit t b =
  Field.set_u32 b 0 hardware_and_protocol;
  Field.set_u16 b 4 address_lengths;
  Field.set_u16 b 6 (match t.operation with Request -> 1 | Reply -> 2);
  Field.set_mac b 8 t.sender_mac;
  Field.set_v4 b 14 t.sender_ip;
  Field.set_mac b 18 t.target_mac;
  Field.set_v4 b 24 t.target_ip
