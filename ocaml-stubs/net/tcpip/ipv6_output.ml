(* IPv6 packets on their way out: by paths, and by Mirage's [write]. *)

open Mirust_net_engine
open Mirust_net_env
open Ipv6_state

type hop = Mac of Macaddr.t | Neighbour of (ipaddr, waiter) Neighbour.entry | Own | Nowhere

type path = {
  ip : t;
  from : ipaddr;
  dst : ipaddr;
  mutable via : ipaddr;
  mutable hop : hop;
  mutable known : int; (* the generation of the engine that [via] and [hop] come from *)
}

let set_hop p (next : Ndp_engine.next_hop) =
  match next with
  | Link via ->
      p.via <- via;
      p.hop <- Neighbour (Neighbour.find (Ndp_engine.neighbours p.ip.ndp) via)
  | Multicast mac -> p.hop <- Mac mac
  | Local -> p.hop <- Own
  | No_route -> p.hop <- Nowhere

let refresh p =
  let generation = Ndp_engine.generation p.ip.ndp in
  if p.known <> generation then (
    let next = Ndp_engine.next_hop p.ip.ndp ~now:(Env.now ()) p.dst in
    let usable =
      Ndp_engine.is_local p.ip.ndp p.from
      && (next = Local || Ipaddr.V6.(compare p.from localhost) <> 0)
    in
    set_hop p (if usable then next else No_route);
    p.known <- generation)

let path t ?src dst =
  let from = match src with Some a -> Some a | None -> find_source t dst in
  match from with
  | None -> Error (`No_route "no source address yet")
  | Some from -> (
      let p = { ip = t; from; dst; via = dst; hop = Nowhere; known = -1 } in
      refresh p;
      match p.hop with
      | Nowhere -> Error (`No_route "no router, or no such source address")
      | Mac _ | Neighbour _ | Own -> Ok p)

let ready t dst =
  let rec wait () =
    match path t dst with
    | Ok _ -> Lwt.return_unit
    | Error _ -> Lwt.bind (Lwt_condition.wait t.changed) wait
  in
  wait ()

let rec route t ?src dst =
  match path t ?src dst with
  | Error _ when Ndp_engine.acquiring t.ndp dst ->
      Lwt.bind (Lwt_condition.wait t.changed) (fun () -> route t ?src dst)
  | (Error _ | Ok _) as r -> Lwt.return r

let source p = p.from
let destination p = p.dst
let path_mtu p = mtu p.ip ~dst:p.dst
let is_unicast p = not (is_multicast p.dst)
let lower_mtu p n = Pmtu.lower p.ip.pmtu ~now:(Env.now ()) p.dst n ~link:(link_mtu p.ip)

let max_segment p =
  let f = p.ip.out.link.features () in
  match p.hop with
  | (Mac _ | Neighbour _) when f.tso6 -> f.max_gso - header
  | Mac _ | Neighbour _ | Own | Nowhere -> 0

let confirm p =
  match p.hop with
  | Neighbour e -> Neighbour.confirm e (Ndp_engine.neighbours p.ip.ndp) ~now:(Env.now ())
  | Mac _ | Own | Nowhere -> ()

(* The headers of a packet, at byte [at] of a buffer. *)
let emit_headers p ~tos ~proto ~offload ~checksum_offset ~size fill payload ~length b ~at =
  emit_header ~src:p.from ~dst:p.dst ~traffic_class:tos ~next_header:proto
    ~hop_limit:(Ndp_engine.hop_limit p.ip.ndp) ~length (Cstruct.shift b at);
  let pseudo = W.Checksum.pseudo_v6 ~src:p.from ~dst:p.dst ~proto ~len:length in
  Outgoing.emit_transport ~pseudo ~checksum_offset ~offload fill payload b ~at:(at + header) ~size

let output p ~tos ~gso_size ~proto ~checksum_offset ~size fill payload =
  refresh p;
  let out = p.ip.out in
  let length = size + Cstruct.lenv payload in
  let limit = if gso_size > 0 then max_segment p else path_mtu p in
  let proto = protocol proto and offload = (out.link.features ()).checksum in
  let send mac =
    let head = out.link.reserve (header + size) in
    if Cstruct.length head > 0 then
      emit_headers p ~tos ~proto ~offload ~checksum_offset ~size fill payload ~length head
        ~at:out.link.header;
    Outgoing.send out mac head payload ~offload ~checksum_offset ~gso_size
  in
  match p.hop with
  | Nowhere -> `No_route
  | (Own | Mac _ | Neighbour _) when length > limit -> `Too_long
  | Own ->
      Outgoing.send_to_own out ~checksum:`Blank ~size:(header + size)
        (emit_headers p ~tos ~proto ~offload:true ~checksum_offset ~size fill payload ~length ~at:0)
        payload
  | Mac mac -> send mac
  | Neighbour e when Neighbour.fresh e ~now:(Env.recent ()) -> send (Neighbour.mac e)
  | Neighbour _ ->
      p.hop <- Neighbour (Neighbour.find (Ndp_engine.neighbours p.ip.ndp) p.via);
      let lost quoted = tell_problem p.ip ~proto ~src:p.from ~dst:p.dst No_neighbour quoted in
      let head = Cstruct.create (header + size) in
      emit_headers p ~tos ~proto ~offload ~checksum_offset ~size fill payload ~length head ~at:0;
      Outgoing.send_after out (query p.ip p.via) ~lost head payload ~offload ~checksum_offset
        ~gso_size

(* {1 Mirage's output} *)

let pieces p ~hop_limit ~proto ~mtu content : Outgoing.piece list =
  let length = Cstruct.length content in
  let emit_header = emit_header ~src:p.from ~dst:p.dst ~traffic_class:0 ~hop_limit in
  if header + length <= mtu then
    let emit b =
      emit_header ~next_header:proto ~length b;
      Cstruct.blit content 0 b header length
    in
    [ { size = header + length; emit } ]
  else
    let id =
      Ident.next p.ip.ident ~src:(Ipaddr.V6.to_octets p.from) ~dst:(Ipaddr.V6.to_octets p.dst)
    in
    let overhead = W.Ipv6.fragment_header_length in
    let piece ~off ~len ~more : Outgoing.piece =
      let emit b =
        emit_header ~next_header:44 ~length:(overhead + len) b;
        W.Ipv6.emit_fragment ~next_header:proto { id; offset = off; more } (Cstruct.shift b header);
        Cstruct.blit content off b (header + overhead) len
      in
      { size = header + overhead + len; emit }
    in
    Outgoing.cut ~length ~room:(mtu - header - overhead) piece

(* The neighbour's address, by asking for it if need be. *)
let with_mac p ~octets f =
  let query =
    match p.hop with
    | Mac mac -> Lwt.return_ok mac
    | Neighbour _ -> query p.ip p.via
    | Own | Nowhere -> Lwt.return_error `Timeout
  in
  Outgoing.with_mac p.ip.out query ~pp:Ipaddr.V6.pp ~octets p.via f

(* What fits for certain is written straight into the device's buffer. *)
let write_whole p mac ~hop_limit ~proto ~size fill payload =
  let rest = Cstruct.lenv payload in
  Outgoing.write p.ip.out mac
    ~size:(header + size + rest)
    (fun b ->
      let used = fill (Cstruct.sub b header size) in
      let length = used + rest in
      ignore (Cstruct.fillv ~src:payload ~dst:(Cstruct.shift b (header + used)));
      emit_header ~src:p.from ~dst:p.dst ~traffic_class:0 ~next_header:proto ~hop_limit ~length b;
      header + length)

let write_content p ~fragment ~hop_limit ~proto ~mtu content =
  let length = header + Cstruct.length content in
  if length > 0xffff || (length > mtu && not fragment) then Lwt.return_error `Would_fragment
  else
    let pieces = pieces p ~hop_limit ~proto ~mtu content in
    match p.hop with
    | Mac _ | Neighbour _ | Nowhere ->
        with_mac p ~octets:length (fun mac -> Outgoing.write_pieces p.ip.out mac pieces)
    | Own -> Outgoing.pieces_to_own p.ip.out pieces

let write t ?(fragment = true) ?ttl ?src dst proto ?(size = 0) fill payload =
  match path t ?src dst with
  | Error e -> Lwt.return_error (e :> error)
  | Ok p -> (
      let proto = protocol proto and mtu = mtu_to t dst in
      let hop_limit = match ttl with Some n -> n | None -> Ndp_engine.hop_limit t.ndp in
      let octets = header + size + Cstruct.lenv payload in
      match p.hop with
      | (Mac _ | Neighbour _) when octets <= mtu ->
          with_mac p ~octets (fun mac -> write_whole p mac ~hop_limit ~proto ~size fill payload)
      | Mac _ | Neighbour _ | Own | Nowhere ->
          let head = Cstruct.create size in
          let used = fill head in
          let content = Cstruct.concat (Cstruct.sub head 0 used :: payload) in
          write_content p ~fragment ~hop_limit ~proto ~mtu content)
