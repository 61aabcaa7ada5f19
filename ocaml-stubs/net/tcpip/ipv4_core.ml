open Mirust_net_engine
open Mirust_net_env
open Mirust_mirage_types
include Ipv4_state
include Ipv4_output

let refuse t =
  let c = counters t in
  c.not_for_us <- c.not_for_us + 1

(* What a router too old to name an MTU must have meant (RFC 1191 section 7.1). *)
let plateau length =
  let plateaus = [ 32000; 17914; 8166; 4352; 2002; 1492; 1006; 576 ] in
  match List.find_opt (fun n -> n < length) plateaus with Some n -> n | None -> minimum_mtu

let problem t data =
  let report problem quoted =
    match W.Ipv4.header_of_packet quoted with
    | Ok h
      when Routes.is_local t.routes h.src && h.fragment_offset = 0
           && Cstruct.length quoted >= W.Ipv4.header_length h + 8 ->
        let problem =
          match problem with
          | Ip_ext.Too_big 0 -> Ip_ext.Too_big (plateau (W.Ipv4.header_length h + h.payload_length))
          | p -> p
        in
        let transport = Cstruct.shift quoted (W.Ipv4.header_length h) in
        tell_problem t ~proto:h.proto ~src:h.src ~dst:h.dst problem transport
    | Ok _ | Error _ -> ()
  in
  match W.Icmpv4.parse data with
  | Ok (Unreachable { reason; quoted }) ->
      let problem : Ip_ext.problem =
        match reason with
        | Fragmentation_needed n -> Too_big n
        | Network -> Unreachable `Network
        | Host -> Unreachable `Host
        | Protocol -> Unreachable `Protocol
        | Port -> Unreachable `Port
        | Unreachable_code (9 | 10 | 13) -> Unreachable `Prohibited
        | Unreachable_code _ -> Unreachable `Network
      in
      report problem quoted
  | Ok (Time_exceeded { quoted; _ }) -> report Expired quoted
  | Ok (Echo_request _ | Echo_reply _ | Parameter_problem _ | Redirect _) | Error _ -> ()

let deliver t ~tcp ~udp ~default (h : W.Ipv4.t) packet =
  let { W.Ipv4.src; dst; tos; _ } = h in
  match h.proto with
  (* TCP has no business with groups (RFC 1122 section 4.2.3.10). *)
  | 6 when not (Routes.is_local t.routes dst) -> refuse t
  | 6 -> tcp ~src ~dst ~tos packet
  | 17 -> udp ~src ~dst ~tos packet
  | 1 ->
      problem t packet.W.Packet.data;
      default ~proto:1 ~src ~dst ~tos packet
  | proto -> default ~proto ~src ~dst ~tos packet

(* A host without an address asks for one from 0.0.0.0 (RFC 2131 section 4.1), which only a DHCP server wants to
   receive. *)
let asks_for_an_address (h : W.Ipv4.t) =
  h.proto = 17
  && Ipaddr.V4.compare h.src Ipaddr.V4.any = 0
  && Ipaddr.V4.compare h.dst Ipaddr.V4.broadcast = 0

(* Without an address we are a DHCP client, and nothing else is for us. *)
let is_for_us t ~looped (h : W.Ipv4.t) =
  if looped then Routes.is_local t.routes h.dst
  else
    Routes.is_for_us t.routes h.dst
    && (h.proto = 17 || Routes.addresses t.routes <> [])
    && ((not (Routes.is_martian t.routes h.src)) || asks_for_an_address h)

let input_any t ~tcp ~udp ~default ~looped ~at (p : W.Packet.t) =
  let c = counters t and packet = Cstruct.shift p.data at in
  match W.Ipv4.parse packet with
  | Error e ->
      c.malformed <- c.malformed + 1;
      Log.debug (fun m -> m "dropped: %a" W.Ipv4.pp_error e)
  | Ok h when not (is_for_us t ~looped h) -> refuse t
  | Ok h when not (W.Ipv4.is_fragment h) ->
      deliver t ~tcp ~udp ~default h { p with data = W.Ipv4.payload h packet }
  | Ok h -> (
      c.fragments <- c.fragments + 1;
      let key = (W.Field.int_of_v4 h.src, W.Field.int_of_v4 h.dst, (h.id lsl 8) lor h.proto) in
      let now = Env.now () in
      let outcome =
        Reassembly.add t.reassembly ~now key ~offset:h.fragment_offset ~more:h.more_fragments
          (W.Ipv4.payload h packet)
      in
      Timer.set (Lazy.force t.timer) (Reassembly.next t.reassembly);
      match outcome with
      | Pending -> ()
      | Dropped _ -> c.reassembly_failed <- c.reassembly_failed + 1
      | Complete data ->
          c.reassembled <- c.reassembled + 1;
          deliver t ~tcp ~udp ~default h (W.Packet.v data))

(* Nearly all packets are whole ones for an address of ours, and of TCP or UDP: without a header in words. *)
let input_packet t ~tcp ~udp ~default =
  let check ~src ~dst =
    Routes.addresses t.routes <> []
    && Routes.is_for_us t.routes dst && Routes.is_local t.routes dst
    && not (Routes.is_martian t.routes src)
  in
  fun ~at (p : W.Packet.t) ->
    let c = counters t and looped = Outgoing.looped t.out in
    c.received <- c.received + 1;
    let data = p.data in
    let total = if looped then -1 else W.Ipv4.plain_length data ~at in
    let proto = if total < 0 then 0 else W.Ipv4.get_proto data ~at in
    if proto <> 6 && proto <> 17 then input_any t ~tcp ~udp ~default ~looped ~at p
    else
      let src = W.Ipv4.get_src data ~at and dst = W.Ipv4.get_dst data ~at in
      match Credible.find t.credible ~routes:t.generation ~src ~dst ~check with
      | None -> input_any t ~tcp ~udp ~default ~looped ~at p
      | Some { src; dst } ->
          let tos = W.Ipv4.get_tos data ~at in
          let packet = { p with data = Cstruct.sub data (at + header) (total - header) } in
          if proto = 6 then tcp ~src ~dst ~tos packet else udp ~src ~dst ~tos packet

let input t ~tcp ~udp ~default =
  (* Mirage's callbacks return promises, the receivers here do not: the last one is passed on. *)
  let result = ref Lwt.return_unit in
  let is r = if !result != r then result := r in
  let receiver (f : callback) ~src ~dst ~tos:_ (p : W.Packet.t) = is (f ~src ~dst p.data) in
  let input =
    input_packet t ~tcp:(receiver tcp) ~udp:(receiver udp) ~default:(fun ~proto ->
        receiver (default ~proto))
  in
  fun b ->
    is Lwt.return_unit;
    input ~at:0 (W.Packet.v b);
    !result
