let client_port = 68
let server_port = 67

type kind = Discover | Offer | Request | Decline | Ack | Nak | Release | Inform

type t = {
  kind : kind;
  reply : bool;
  xid : int;
  secs : int;
  broadcast : bool;
  client : Ipaddr.V4.t;
  your : Ipaddr.V4.t;
  next_server : Ipaddr.V4.t;
  relay : Ipaddr.V4.t;
  mac : Macaddr.t;
  subnet_mask : Ipaddr.V4.t option;
  routers : Ipaddr.V4.t list;
  dns : Ipaddr.V4.t list;
  host_name : string option;
  domain_name : string option;
  mtu : int option;
  requested : Ipaddr.V4.t option;
  lease_time : int option;
  server : Ipaddr.V4.t option;
  wanted : int list;
  message : string option;
  renewal_time : int option;
  rebinding_time : int option;
  client_id : string option;
  others : (int * string) list;
}

let empty kind ~reply ~xid mac =
  {
    kind;
    reply;
    xid;
    secs = 0;
    broadcast = false;
    client = Ipaddr.V4.any;
    your = Ipaddr.V4.any;
    next_server = Ipaddr.V4.any;
    relay = Ipaddr.V4.any;
    mac;
    subnet_mask = None;
    routers = [];
    dns = [];
    host_name = None;
    domain_name = None;
    mtu = None;
    requested = None;
    lease_time = None;
    server = None;
    wanted = [];
    message = None;
    renewal_time = None;
    rebinding_time = None;
    client_id = None;
    others = [];
  }

type error = Truncated | Not_dhcp | Bad_option of int

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated DHCP message"
  | Not_dhcp -> Fmt.string ppf "not a DHCP message for Ethernet"
  | Bad_option n -> Fmt.pf ppf "bad DHCP option %d" n

let pp_kind ppf k =
  Fmt.string ppf
    (match k with
    | Discover -> "discover"
    | Offer -> "offer"
    | Request -> "request"
    | Decline -> "decline"
    | Ack -> "ack"
    | Nak -> "nak"
    | Release -> "release"
    | Inform -> "inform")

let pp ppf t =
  Fmt.pf ppf "%a %08x %a: client %a, your %a" pp_kind t.kind t.xid Macaddr.pp t.mac Ipaddr.V4.pp
    t.client Ipaddr.V4.pp t.your;
  Option.iter (Fmt.pf ppf ", server %a" Ipaddr.V4.pp) t.server;
  Option.iter (Fmt.pf ppf ", lease %ds") t.lease_time

let kinds =
  [
    (Discover, 1);
    (Offer, 2);
    (Request, 3);
    (Decline, 4);
    (Ack, 5);
    (Nak, 6);
    (Release, 7);
    (Inform, 8);
  ]

let kind_of_int n = List.find_map (fun (k, i) -> if i = n then Some k else None) kinds
let cookie = 0x63825363
let fixed = 240

(* No server has that much to say; what comes after it is not looked at. *)
let max_length = 4096

(* {1 Options as (number, bytes)} *)

exception Stop of error

let overload = 52

(* Without these a message says nothing: its type, the lease's time, the server. Any other that is wrong is
   as good as absent. *)
let is_mandatory n = n = 53 || n = 51 || n = 54

(* An option that reaches beyond the field: what comes behind it cannot be found. *)
let cut n options = if is_mandatory n then raise_notrace (Stop (Bad_option n)) else options

(* The options in one field, joined to those seen before under the same number. *)
let collect options b =
  let stop = Cstruct.length b in
  let rec go off options =
    if off >= stop then options
    else
      match Field.u8 b off with
      | 0 -> go (off + 1) options
      | 255 -> options
      | n ->
          if off + 2 > stop || off + 2 + Field.u8 b (off + 1) > stop then cut n options
          else
            let len = Field.u8 b (off + 1) in
            let value = Cstruct.to_string ~off:(off + 2) ~len b in
            let before = Option.value (List.assoc_opt n options) ~default:"" in
            go (off + 2 + len) ((n, before ^ value) :: List.remove_assoc n options)
  in
  go 0 options

(* The parts of a repeated option have been joined; of an option with a single value, the first counts. *)
let is_of s size = s <> "" && String.length s mod size = 0
let address s = if is_of s 4 then Some (Ipaddr.V4.of_octets_exn (String.sub s 0 4)) else None

let addresses s =
  if is_of s 4 then
    Some (List.init (String.length s / 4) (fun i -> Ipaddr.V4.of_octets_exn ~off:(4 * i) s))
  else None

let u8 s = if is_of s 1 then Some (Char.code s.[0]) else None
let u16 s = if is_of s 2 then Some (String.get_uint16_be s 0) else None

let u32 s =
  if is_of s 4 then Some (Int32.to_int (String.get_int32_be s 0) land 0xffffffff) else None

let read_options b =
  let options = collect [] (Cstruct.sub b fixed (min (Cstruct.length b) max_length - fixed)) in
  let file = Cstruct.sub b 108 128 and sname = Cstruct.sub b 44 64 in
  match Option.bind (List.assoc_opt overload options) u8 with
  | Some 1 -> collect options file
  | Some 2 -> collect options sname
  | Some 3 -> collect (collect options file) sname
  | Some _ | None -> options

let find options n of_string =
  match List.assoc_opt n options with
  | None -> None
  | Some s -> (
      match of_string s with
      | Some _ as found -> found
      | None -> if is_mandatory n then raise_notrace (Stop (Bad_option n)) else None)

let text s = if s = "" then None else Some s
let bytes s = Some (List.map Char.code (List.of_seq (String.to_seq s)))

(* Those that have a field of their own, and the one that says where options are. *)
let known = [ 1; 3; 6; 12; 15; 26; 50; 51; overload; 53; 54; 55; 56; 58; 59; 61 ]

let read b =
  let options = read_options b in
  let find n of_string = find options n of_string in
  let list n = Option.value (find n addresses) ~default:[] in
  let kind =
    match find 53 u8 with
    | None -> raise_notrace (Stop Not_dhcp)
    | Some n -> (
        match kind_of_int n with Some k -> k | None -> raise_notrace (Stop (Bad_option 53)))
  in
  {
    kind;
    reply = Field.u8 b 0 = 2;
    xid = Field.u32 b 4;
    secs = Field.u16 b 8;
    broadcast = Field.u16 b 10 land 0x8000 <> 0;
    client = Field.v4 b 12;
    your = Field.v4 b 16;
    next_server = Field.v4 b 20;
    relay = Field.v4 b 24;
    mac = Field.mac b 28;
    subnet_mask = find 1 address;
    routers = list 3;
    dns = list 6;
    host_name = find 12 text;
    domain_name = find 15 text;
    mtu = find 26 u16;
    requested = find 50 address;
    lease_time = find 51 u32;
    server = find 54 address;
    wanted = Option.value (find 55 bytes) ~default:[];
    message = find 56 text;
    renewal_time = find 58 u32;
    rebinding_time = find 59 u32;
    client_id = find 61 text;
    others = List.sort compare (List.filter (fun (n, _) -> not (List.mem n known)) options);
  }

let parse b =
  if Cstruct.length b < fixed then Error Truncated
  else if
    Field.u16 b 1 <> 0x0106
    || Field.u32 b (fixed - 4) <> cookie
    || (Field.u8 b 0 <> 1 && Field.u8 b 0 <> 2)
  then Error Not_dhcp
  else match read b with t -> Ok t | exception Stop e -> Error e

(* {1 Emitting} *)

let octets = Ipaddr.V4.to_octets

let be16 n =
  let b = Bytes.create 2 in
  Bytes.set_uint16_be b 0 n;
  Bytes.unsafe_to_string b

let be32 n =
  let b = Bytes.create 4 in
  Bytes.set_int32_be b 0 (Int32.of_int n);
  Bytes.unsafe_to_string b

let options t =
  let one n to_string = function None -> [] | Some v -> [ (n, to_string v) ] in
  let many n = function [] -> [] | l -> [ (n, String.concat "" (List.map octets l)) ] in
  let string s = s in
  [ (53, String.make 1 (Char.chr (List.assoc t.kind kinds))) ]
  @ one 61 string t.client_id @ one 50 octets t.requested @ one 54 octets t.server
  @ one 51 be32 t.lease_time @ one 58 be32 t.renewal_time @ one 59 be32 t.rebinding_time
  @ one 1 octets t.subnet_mask @ many 3 t.routers @ many 6 t.dns @ one 12 string t.host_name
  @ one 15 string t.domain_name @ one 26 be16 t.mtu @ one 56 string t.message
  @ (match t.wanted with
    | [] -> []
    | l -> [ (55, String.of_seq (Seq.map Char.chr (List.to_seq l))) ])
  @ t.others

(* One part after another, if it is long (RFC 3396). *)
let rec parts (n, v) =
  if String.length v <= 255 then [ (n, v) ]
  else (n, String.sub v 0 255) :: parts (n, String.sub v 255 (String.length v - 255))

let emit t =
  let options = List.concat_map parts (options t) in
  let needed = List.fold_left (fun n (_, v) -> n + 2 + String.length v) 1 options in
  let b = Cstruct.create (max 300 (fixed + needed)) in
  Field.set_u8 b 0 (if t.reply then 2 else 1);
  Field.set_u16 b 1 0x0106;
  Field.set_u32 b 4 t.xid;
  Field.set_u16 b 8 (min t.secs 0xffff);
  Field.set_u16 b 10 (if t.broadcast then 0x8000 else 0);
  Field.set_v4 b 12 t.client;
  Field.set_v4 b 16 t.your;
  Field.set_v4 b 20 t.next_server;
  Field.set_v4 b 24 t.relay;
  Field.set_mac b 28 t.mac;
  Field.set_u32 b (fixed - 4) cookie;
  let put off (n, v) =
    let len = String.length v in
    Field.set_u8 b off n;
    Field.set_u8 b (off + 1) len;
    Cstruct.blit_from_string v 0 b (off + 2) len;
    off + 2 + len
  in
  let off = List.fold_left put fixed options in
  Field.set_u8 b off 255;
  b
