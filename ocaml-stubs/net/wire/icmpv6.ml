let proto = 58

type unreachable = No_route | Prohibited | Beyond_scope | Address | Port | Unreachable_code of int

type prefix = {
  prefix : Ipaddr.V6.Prefix.t;
  on_link : bool;
  autonomous : bool;
  valid : int;
  preferred : int;
}

type options = {
  source_link : Macaddr.t option;
  target_link : Macaddr.t option;
  mtu : int option;
  prefixes : prefix list;
  dns : (int * Ipaddr.V6.t list) list;
}

let no_options = { source_link = None; target_link = None; mtu = None; prefixes = []; dns = [] }

type router_advertisement = {
  hop_limit : int;
  managed : bool;
  other : bool;
  lifetime : int;
  reachable : int;
  retransmit : int;
  options : options;
}

type listener = Listening | Joining | Leaving

type t =
  | Unreachable of { reason : unreachable; quoted : Cstruct.t }
  | Packet_too_big of { mtu : int; quoted : Cstruct.t }
  | Time_exceeded of { reassembly : bool; quoted : Cstruct.t }
  | Parameter_problem of { code : int; pointer : int; quoted : Cstruct.t }
  | Echo_request of { id : int; seq : int; data : Cstruct.t }
  | Echo_reply of { id : int; seq : int; data : Cstruct.t }
  | Router_solicitation of options
  | Router_advertisement of router_advertisement
  | Neighbour_solicitation of { target : Ipaddr.V6.t; options : options }
  | Neighbour_advertisement of {
      router : bool;
      solicited : bool;
      override : bool;
      target : Ipaddr.V6.t;
      options : options;
    }
  | Redirect of { target : Ipaddr.V6.t; destination : Ipaddr.V6.t; options : options }
  | Listener_query of { group : Ipaddr.V6.t }
  | Listener_report of { listener : listener; group : Ipaddr.V6.t }

type error =
  | Truncated
  | Bad_checksum
  | Bad_option
  | Bad_code of int
  | Multicast_target
  | Unknown_type of { kind : int; code : int }

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated ICMPv6 message"
  | Bad_checksum -> Fmt.string ppf "bad ICMPv6 checksum"
  | Bad_option -> Fmt.string ppf "impossible neighbour discovery option"
  | Bad_code n -> Fmt.pf ppf "impossible neighbour discovery code %d" n
  | Multicast_target -> Fmt.string ppf "group address as the target of neighbour discovery"
  | Unknown_type { kind; code } -> Fmt.pf ppf "unknown ICMPv6 type %d, code %d" kind code

let pp ppf = function
  | Unreachable _ -> Fmt.string ppf "unreachable"
  | Packet_too_big { mtu; _ } -> Fmt.pf ppf "packet too big, mtu %d" mtu
  | Time_exceeded { reassembly; _ } ->
      Fmt.pf ppf "time exceeded%s" (if reassembly then " in reassembly" else "")
  | Parameter_problem { code; pointer; _ } ->
      Fmt.pf ppf "parameter problem, code %d at byte %d" code pointer
  | Echo_request { id; seq; _ } -> Fmt.pf ppf "echo request %d/%d" id seq
  | Echo_reply { id; seq; _ } -> Fmt.pf ppf "echo reply %d/%d" id seq
  | Router_solicitation _ -> Fmt.string ppf "router solicitation"
  | Router_advertisement r -> Fmt.pf ppf "router advertisement, lifetime %ds" r.lifetime
  | Neighbour_solicitation { target; _ } ->
      Fmt.pf ppf "neighbour solicitation for %a" Ipaddr.V6.pp target
  | Neighbour_advertisement { target; _ } ->
      Fmt.pf ppf "neighbour advertisement of %a" Ipaddr.V6.pp target
  | Redirect { target; destination; _ } ->
      Fmt.pf ppf "redirect of %a to %a" Ipaddr.V6.pp destination Ipaddr.V6.pp target
  | Listener_query { group } -> Fmt.pf ppf "query for %a" Ipaddr.V6.pp group
  | Listener_report { listener; group } ->
      let verb =
        match listener with Listening -> "listen to" | Joining -> "join" | Leaving -> "leave"
      in
      Fmt.pf ppf "%s %a" verb Ipaddr.V6.pp group

let is_ndp = function
  | Router_solicitation _ | Router_advertisement _ | Neighbour_solicitation _
  | Neighbour_advertisement _ | Redirect _ ->
      true
  | Unreachable _ | Packet_too_big _ | Time_exceeded _ | Parameter_problem _ | Echo_request _
  | Echo_reply _ | Listener_query _ | Listener_report _ ->
      false

let first old now = match old with None -> Some now | Some _ -> old

let prefix_option b =
  let bits = Field.u8 b 2 and flags = Field.u8 b 3 in
  if bits > 128 then None
  else
    Some
      {
        prefix = Ipaddr.V6.Prefix.make bits (Field.v6 b 16);
        on_link = flags land 0x80 <> 0;
        autonomous = flags land 0x40 <> 0;
        valid = Field.u32 b 4;
        preferred = Field.u32 b 8;
      }

(* A group's address is not accepted as a station's: everything for that neighbour would be multicast. *)
let station old b =
  let mac = Field.mac b 2 in
  if Macaddr.is_unicast mac then first old mac else old

let option o b len =
  match Field.u8 b 0 with
  | 1 when len = 8 -> { o with source_link = station o.source_link b }
  | 2 when len = 8 -> { o with target_link = station o.target_link b }
  | 3 when len = 32 -> (
      match prefix_option b with None -> o | Some p -> { o with prefixes = o.prefixes @ [ p ] })
  | 5 when len = 8 -> { o with mtu = first o.mtu (Field.u32 b 4) }
  | 25 when len >= 24 && len land 15 = 8 ->
      let addresses = List.init ((len - 8) / 16) (fun i -> Field.v6 b (8 + (16 * i))) in
      { o with dns = o.dns @ [ (Field.u32 b 4, addresses) ] }
  | _ -> o

let rec read_options b o =
  let left = Cstruct.length b in
  if left = 0 then Ok o
  else if left < 2 then Error Bad_option
  else
    let len = Field.u8 b 1 * 8 in
    if len = 0 || len > left then Error Bad_option
    else read_options (Cstruct.shift b len) (option o b len)

let ( let* ) = Result.bind

let ndp b ~min make =
  let code = Field.u8 b 1 in
  if Cstruct.length b < min then Error Truncated
  else if code <> 0 then Error (Bad_code code)
  else
    let* options = read_options (Cstruct.shift b min) no_options in
    make options

let target b =
  let target = Field.v6 b 8 in
  if Ipaddr.V6.is_multicast target then Error Multicast_target else Ok target

let read b =
  let quoted = Cstruct.shift b 8 in
  match (Field.u8 b 0, Field.u8 b 1) with
  | 1, code ->
      let reason =
        match code with
        | 0 -> No_route
        | 1 -> Prohibited
        | 2 -> Beyond_scope
        | 3 -> Address
        | 4 -> Port
        | n -> Unreachable_code n
      in
      Ok (Unreachable { reason; quoted })
  | 2, _ -> Ok (Packet_too_big { mtu = Field.u32 b 4; quoted })
  | 3, ((0 | 1) as code) -> Ok (Time_exceeded { reassembly = code = 1; quoted })
  | 4, code -> Ok (Parameter_problem { code; pointer = Field.u32 b 4; quoted })
  | 128, 0 -> Ok (Echo_request { id = Field.u16 b 4; seq = Field.u16 b 6; data = quoted })
  | 129, 0 -> Ok (Echo_reply { id = Field.u16 b 4; seq = Field.u16 b 6; data = quoted })
  | 130, _ ->
      if Cstruct.length b < 24 then Error Truncated
      else Ok (Listener_query { group = Field.v6 b 8 })
  | 133, _ -> ndp b ~min:8 (fun options -> Ok (Router_solicitation options))
  | 134, _ ->
      ndp b ~min:16 (fun options ->
          let flags = Field.u8 b 5 in
          Ok
            (Router_advertisement
               {
                 hop_limit = Field.u8 b 4;
                 managed = flags land 0x80 <> 0;
                 other = flags land 0x40 <> 0;
                 lifetime = Field.u16 b 6;
                 reachable = Field.u32 b 8;
                 retransmit = Field.u32 b 12;
                 options;
               }))
  | 135, _ ->
      ndp b ~min:24 (fun options ->
          let* target = target b in
          Ok (Neighbour_solicitation { target; options }))
  | 136, _ ->
      ndp b ~min:24 (fun options ->
          let* target = target b in
          let flags = Field.u8 b 4 in
          Ok
            (Neighbour_advertisement
               {
                 router = flags land 0x80 <> 0;
                 solicited = flags land 0x40 <> 0;
                 override = flags land 0x20 <> 0;
                 target;
                 options;
               }))
  | 137, _ ->
      ndp b ~min:40 (fun options ->
          let* target = target b in
          Ok (Redirect { target; destination = Field.v6 b 24; options }))
  | kind, code -> Error (Unknown_type { kind; code })

let pseudo ~src ~dst len = Checksum.pseudo_v6 ~src ~dst ~proto ~len

let parse ~src ~dst b =
  let len = Cstruct.length b in
  if len < 8 then Error Truncated
  else if not (Checksum.is_valid (Checksum.bytes (pseudo ~src ~dst len) b)) then Error Bad_checksum
  else read b

let options_length o =
  let one = function None -> 0 | Some _ -> 8 in
  let dns (_, addresses) = 8 + (16 * List.length addresses) in
  one o.source_link + one o.target_link + one o.mtu
  + (32 * List.length o.prefixes)
  + List.fold_left (fun n d -> n + dns d) 0 o.dns

let length = function
  | Unreachable { quoted; _ }
  | Packet_too_big { quoted; _ }
  | Time_exceeded { quoted; _ }
  | Parameter_problem { quoted; _ } ->
      8 + Cstruct.length quoted
  | Echo_request { data; _ } | Echo_reply { data; _ } -> 8 + Cstruct.length data
  | Router_solicitation options -> 8 + options_length options
  | Router_advertisement r -> 16 + options_length r.options
  | Neighbour_solicitation { options; _ } | Neighbour_advertisement { options; _ } ->
      24 + options_length options
  | Redirect { options; _ } -> 40 + options_length options
  | Listener_query _ -> 24
  | Listener_report _ -> 28

let emit_options o b =
  let off = ref 0 in
  let put kind len write =
    Field.set_u8 b !off kind;
    Field.set_u8 b (!off + 1) (len / 8);
    write (Cstruct.sub b !off len);
    off := !off + len
  in
  Option.iter (fun m -> put 1 8 (fun b -> Field.set_mac b 2 m)) o.source_link;
  Option.iter (fun m -> put 2 8 (fun b -> Field.set_mac b 2 m)) o.target_link;
  let mtu n =
    put 5 8 (fun b ->
        Field.set_u16 b 2 0;
        Field.set_u32 b 4 n)
  in
  Option.iter mtu o.mtu;
  let prefix p =
    put 3 32 (fun b ->
        Field.set_u8 b 2 (Ipaddr.V6.Prefix.bits p.prefix);
        Field.set_u8 b 3 ((if p.on_link then 0x80 else 0) lor if p.autonomous then 0x40 else 0);
        Field.set_u32 b 4 p.valid;
        Field.set_u32 b 8 p.preferred;
        Field.set_u32 b 12 0;
        Field.set_v6 b 16 (Ipaddr.V6.Prefix.network p.prefix))
  in
  List.iter prefix o.prefixes;
  let dns (lifetime, addresses) =
    put 25
      (8 + (16 * List.length addresses))
      (fun b ->
        Field.set_u16 b 2 0;
        Field.set_u32 b 4 lifetime;
        List.iteri (fun i a -> Field.set_v6 b (8 + (16 * i)) a) addresses)
  in
  List.iter dns o.dns

let emit ~src ~dst t b =
  let len = length t in
  let b = Cstruct.sub b 0 len in
  let header kind code word =
    Field.set_u8 b 0 kind;
    Field.set_u8 b 1 code;
    Field.set_u16 b 2 0;
    Field.set_u32 b 4 word
  in
  let data d = Cstruct.blit d 0 b 8 (Cstruct.length d) in
  let options off o = emit_options o (Cstruct.shift b off) in
  let flag bit set = if set then bit lsl 24 else 0 in
  (match t with
  | Unreachable { reason; quoted } ->
      let code =
        match reason with
        | No_route -> 0
        | Prohibited -> 1
        | Beyond_scope -> 2
        | Address -> 3
        | Port -> 4
        | Unreachable_code n -> n
      in
      header 1 code 0;
      data quoted
  | Packet_too_big { mtu; quoted } ->
      header 2 0 mtu;
      data quoted
  | Time_exceeded { reassembly; quoted } ->
      header 3 (Bool.to_int reassembly) 0;
      data quoted
  | Parameter_problem { code; pointer; quoted } ->
      header 4 code pointer;
      data quoted
  | Echo_request { id; seq; data = d } ->
      header 128 0 ((id lsl 16) lor seq);
      data d
  | Echo_reply { id; seq; data = d } ->
      header 129 0 ((id lsl 16) lor seq);
      data d
  | Router_solicitation o ->
      header 133 0 0;
      options 8 o
  | Router_advertisement r ->
      header 134 0
        ((r.hop_limit lsl 24)
        lor (if r.managed then 0x800000 else 0)
        lor (if r.other then 0x400000 else 0)
        lor r.lifetime);
      Field.set_u32 b 8 r.reachable;
      Field.set_u32 b 12 r.retransmit;
      options 16 r.options
  | Neighbour_solicitation { target; options = o } ->
      header 135 0 0;
      Field.set_v6 b 8 target;
      options 24 o
  | Neighbour_advertisement { router; solicited; override; target; options = o } ->
      header 136 0 (flag 0x80 router lor flag 0x40 solicited lor flag 0x20 override);
      Field.set_v6 b 8 target;
      options 24 o
  | Redirect { target; destination; options = o } ->
      header 137 0 0;
      Field.set_v6 b 8 target;
      Field.set_v6 b 24 destination;
      options 40 o
  | Listener_query { group } ->
      (* As MLDv1 has it, with ten seconds to answer. *)
      header 130 0 (10_000 lsl 16);
      Field.set_v6 b 8 group
  | Listener_report { listener; group } ->
      header 143 0 1;
      Field.set_u8 b 8 (match listener with Listening -> 2 | Leaving -> 3 | Joining -> 4);
      Field.set_u8 b 9 0;
      Field.set_u16 b 10 0;
      Field.set_v6 b 12 group);
  Field.set_u16 b 2 (Checksum.finish (Checksum.bytes (pseudo ~src ~dst len) b))
