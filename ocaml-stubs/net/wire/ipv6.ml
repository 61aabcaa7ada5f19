let header_length = 40

type t = {
  src : Ipaddr.V6.t;
  dst : Ipaddr.V6.t;
  traffic_class : int;
  flow_label : int;
  next_header : int;
  hop_limit : int;
  payload_length : int;
}

type error = Truncated | Bad_version of int

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated IPv6 packet"
  | Bad_version n -> Fmt.pf ppf "IP version %d instead of 6" n

let pp ppf t =
  Fmt.pf ppf "%a -> %a: next header %d, %d bytes, hop limit %d" Ipaddr.V6.pp t.src Ipaddr.V6.pp
    t.dst t.next_header t.payload_length t.hop_limit

let check b ~quoted =
  if Cstruct.length b < header_length then Error Truncated
  else
    let first = Field.u32 b 0 in
    let payload_length = Field.u16 b 4 in
    if first lsr 28 <> 6 then Error (Bad_version (first lsr 28))
    else if (not quoted) && Cstruct.length b < header_length + payload_length then Error Truncated
    else
      Ok
        {
          traffic_class = (first lsr 20) land 0xff;
          flow_label = first land 0xfffff;
          payload_length;
          next_header = Field.u8 b 6;
          hop_limit = Field.u8 b 7;
          src = Field.v6 b 8;
          dst = Field.v6 b 24;
        }

let parse b = check b ~quoted:false
let header_of_packet b = check b ~quoted:true
let payload t b = Cstruct.sub b header_length t.payload_length

let emit t b =
  if t.payload_length < 0 || t.payload_length > 0xffff then invalid_arg "Ipv6.emit: payload_length";
  Field.set_u32 b 0
    ((6 lsl 28) lor ((t.traffic_class land 0xff) lsl 20) lor (t.flow_label land 0xfffff));
  Field.set_u16 b 4 t.payload_length;
  Field.set_u8 b 6 t.next_header;
  Field.set_u8 b 7 t.hop_limit;
  Field.set_v6 b 8 t.src;
  Field.set_v6 b 24 t.dst

type fragment = { id : int; offset : int; more : bool }
type upper = { proto : int; data : Cstruct.t; fragment : fragment option; router_alert : bool }

type chain_error =
  | Chain_truncated
  | Too_many_headers
  | Misplaced_hop_by_hop of int
  | Unknown_option of { offset : int; report : [ `No | `Unicast | `Always ] }
  | Unknown_routing of int
  | Bad_fragment_length of int

let pp_chain_error ppf = function
  | Chain_truncated -> Fmt.string ppf "truncated extension header"
  | Too_many_headers -> Fmt.string ppf "too many extension headers"
  | Misplaced_hop_by_hop n -> Fmt.pf ppf "hop-by-hop options out of place (byte %d)" n
  | Unknown_option { offset; _ } -> Fmt.pf ppf "unknown option at byte %d" offset
  | Unknown_routing n -> Fmt.pf ppf "unknown routing type at byte %d" n
  | Bad_fragment_length n -> Fmt.pf ppf "bad fragment length (byte %d)" n

let hop_by_hop = 0
let routing = 43
let fragment_type = 44
let destination_options = 60
let fragment_header_length = 8
let max_headers = 8

exception Stop of chain_error

(* Options of a hop-by-hop or destination header (section 4.2); the result says whether there was
   a router alert. *)
let rec options b ~base i stop alert =
  if i >= stop then alert
  else
    match Field.u8 b i with
    | 0 -> options b ~base (i + 1) stop alert
    | kind -> (
        if i + 2 > stop || i + 2 + Field.u8 b (i + 1) > stop then
          raise_notrace (Stop Chain_truncated);
        let next = i + 2 + Field.u8 b (i + 1) in
        let unknown report = raise_notrace (Stop (Unknown_option { offset = base + i; report })) in
        if kind = 1 then options b ~base next stop alert
        else if kind = 5 then options b ~base next stop true
        else
          match kind lsr 6 with
          | 0 -> options b ~base next stop alert
          | 1 -> unknown `No
          | 2 -> unknown `Always
          | _ -> unknown `Unicast)

let follow ~next_header ~offset b =
  (* [named] is where, in the packet, the type of the header at [b] was given. *)
  let rec go count kind named offset b alert =
    let extension () =
      if count >= max_headers then raise_notrace (Stop Too_many_headers);
      if Cstruct.length b < 8 then raise_notrace (Stop Chain_truncated)
    in
    let sized () =
      extension ();
      let len = (Field.u8 b 1 + 1) * 8 in
      if len > Cstruct.length b then raise_notrace (Stop Chain_truncated);
      len
    in
    let continue len alert =
      go (count + 1) (Field.u8 b 0) offset (offset + len) (Cstruct.shift b len) alert
    in
    if kind = hop_by_hop then (
      if count > 0 then raise_notrace (Stop (Misplaced_hop_by_hop named));
      let len = sized () in
      continue len (options b ~base:offset 2 len alert))
    else if kind = destination_options then (
      let len = sized () in
      ignore (options b ~base:offset 2 len false);
      continue len alert)
    else if kind = routing then (
      let len = sized () in
      (* No type is known here: with no segments left the header is to be ignored. *)
      if Field.u8 b 3 <> 0 then raise_notrace (Stop (Unknown_routing (offset + 2)));
      continue len alert)
    else if kind = fragment_type then (
      extension ();
      let field = Field.u16 b 2 in
      let fragment = { id = Field.u32 b 4; offset = field land 0xfff8; more = field land 1 <> 0 } in
      let data = Cstruct.shift b fragment_header_length in
      if fragment.more && Cstruct.length data land 7 <> 0 then
        raise_notrace (Stop (Bad_fragment_length 4))
      else { proto = Field.u8 b 0; data; fragment = Some fragment; router_alert = alert })
    else { proto = kind; data = b; fragment = None; router_alert = alert }
  in
  match go 0 next_header 6 offset b false with
  | upper -> Ok upper
  | exception Stop error -> Error error

let emit_fragment ~next_header f b =
  if f.offset land 7 <> 0 || f.offset > 0xfff8 then invalid_arg "Ipv6.emit_fragment: offset";
  Field.set_u8 b 0 next_header;
  Field.set_u8 b 1 0;
  Field.set_u16 b 2 (f.offset lor if f.more then 1 else 0);
  Field.set_u32 b 4 f.id
