open Mirust_net_engine
open Mirust_net_env
include Ipv6_state
include Ipv6_output
include Ipv6_icmp

let reassemble t (h : W.Ipv6.t) (f : W.Ipv6.fragment) proto data =
  let c = counters t in
  c.fragments <- c.fragments + 1;
  let outcome =
    Reassembly.add t.reassembly ~now:(Env.now ()) (h.src, h.dst, f.id, proto) ~offset:f.offset
      ~more:f.more data
  in
  Timer.set (Lazy.force t.reassembly_timer) (Reassembly.next t.reassembly);
  match outcome with
  | Pending -> None
  | Dropped _ ->
      c.reassembly_failed <- c.reassembly_failed + 1;
      None
  | Complete data ->
      c.reassembled <- c.reassembled + 1;
      Some data

(* Only duplicate detection and router solicitations come from nowhere (RFC 4291 section 2.5.2). *)
let has_source (h : W.Ipv6.t) = Ipaddr.V6.(compare h.src unspecified) <> 0

let is_for_us t ~looped (h : W.Ipv6.t) =
  if looped then Ndp_engine.is_local t.ndp h.dst
  else Ndp_engine.is_for_us t.ndp h.dst && not (Ndp_engine.is_martian t.ndp h.src)

let input_packet t ~tcp ~udp ~default ~at (p : W.Packet.t) =
  let p = if at = 0 then p else { p with data = Cstruct.shift p.data at } in
  let c = counters t and looped = Outgoing.looped t.out in
  let deliver (h : W.Ipv6.t) ~in_pieces proto packet =
    let { W.Ipv6.src; dst; traffic_class = tos; _ } = h in
    (* An address under duplicate detection receives neighbour discovery only. *)
    if proto = W.Icmpv6.proto then
      (* Fragmented neighbour discovery is ignored, because guards in switches do not look into fragments (RFC 6980). A
         hop limit of 0 makes sure of that. *)
      let hop_limit = if in_pieces then 0 else h.hop_limit in
      icmp t ~src ~dst ~hop_limit packet.W.Packet.data
    else if has_source h && (is_multicast dst || Ndp_engine.is_local t.ndp dst) then
      match proto with
      | 6 when is_multicast dst -> c.not_for_us <- c.not_for_us + 1
      | 6 -> tcp ~src ~dst ~tos packet
      | 17 -> udp ~src ~dst ~tos packet
      | 59 -> ()
      | proto -> default ~proto ~src ~dst ~tos packet
  in
  let rec follow (h : W.Ipv6.t) ~next_header ~again (packet : W.Packet.t) =
    match W.Ipv6.follow ~next_header ~offset:header packet.data with
    | Error e ->
        c.malformed <- c.malformed + 1;
        Log.debug (fun m -> m "from %a: %a" Ipaddr.V6.pp h.src W.Ipv6.pp_chain_error e);
        if not again then chain_error t ~src:h.src ~dst:h.dst p.data e
    | Ok { fragment = None; proto; data; _ } ->
        deliver h ~in_pieces:again proto { packet with data }
    | Ok { fragment = Some _; _ } when again -> c.malformed <- c.malformed + 1
    | Ok { fragment = Some f; proto; data; _ } ->
        (* An atomic fragment is a whole packet, whatever others there are (RFC 6946). *)
        let is_whole = f.offset = 0 && not f.more in
        Option.iter
          (fun data -> follow h ~next_header:proto ~again:true (W.Packet.v data))
          (if is_whole then Some data else reassemble t h f proto data)
  in
  c.received <- c.received + 1;
  match W.Ipv6.parse p.data with
  | Error e ->
      c.malformed <- c.malformed + 1;
      Log.debug (fun m -> m "dropped: %a" W.Ipv6.pp_error e)
  | Ok h when not (is_for_us t ~looped h) -> c.not_for_us <- c.not_for_us + 1
  | Ok h ->
      follow h ~next_header:h.next_header ~again:false { p with data = W.Ipv6.payload h p.data }

let input t ~tcp ~udp ~default b =
  let result = ref Lwt.return_unit in
  let receiver (f : callback) ~src ~dst ~tos:_ (p : W.Packet.t) = result := f ~src ~dst p.data in
  input_packet t ~tcp:(receiver tcp) ~udp:(receiver udp)
    ~default:(fun ~proto -> receiver (default ~proto))
    ~at:0 (W.Packet.v b);
  !result
