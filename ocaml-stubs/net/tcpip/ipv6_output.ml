(* IPv6 packets on their way out: by paths, and by Mirage's [write]. *)

open Mirust_net_engine
open Mirust_net_env
open Mirust_mirage_types
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
    let usable = Ndp_engine.is_local p.ip.ndp p.from in
    set_hop p (if usable then Ndp_engine.next_hop p.ip.ndp ~now:(Env.now ()) p.dst else No_route);
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

let source p = p.from
let destination p = p.dst
let path_mtu p = mtu p.ip ~dst:p.dst
let lower_mtu p n = Pmtu.lower p.ip.pmtu ~now:(Env.now ()) p.dst n ~link:(link_mtu p.ip)

let max_segment p =
  let f = p.ip.link.features () in
  match p.hop with
  | (Mac _ | Neighbour _) when f.tso6 -> f.max_gso - header
  | Mac _ | Neighbour _ | Own | Nowhere -> 0

let confirm p =
  match p.hop with
  | Neighbour e -> Neighbour.confirm e (Ndp_engine.neighbours p.ip.ndp) ~now:(Env.now ())
  | Mac _ | Own | Nowhere -> ()

let emit p ~tos ~proto ~checksum_offset ~size ~offload fill payload ~length b =
  emit_header ~src:p.from ~dst:p.dst ~traffic_class:tos ~next_header:proto
    ~hop_limit:(Ndp_engine.hop_limit p.ip.ndp) ~length b;
  let transport = Cstruct.sub b header size in
  fill transport;
  let pseudo = W.Checksum.pseudo_v6 ~src:p.from ~dst:p.dst ~proto ~len:length in
  if offload then W.Field.set_u16 transport checksum_offset (W.Checksum.fold pseudo)
  else (
    W.Field.set_u16 transport checksum_offset 0;
    let v = W.Checksum.finish (W.Checksum.fragments (W.Checksum.bytes pseudo transport) payload) in
    W.Field.set_u16 transport checksum_offset (if v = 0 then 0xffff else v))

let to_own t packet =
  match t.loopback with
  | None -> `No_route
  | Some deliver ->
      Lwt.on_success (Lwt.pause ()) (fun () ->
          t.looped <- true;
          Fun.protect ~finally:(fun () -> t.looped <- false) (fun () -> deliver packet));
      `Sent

let outcome (o : Link.outcome) : Ip_ext.outcome =
  match o with
  | `Sent -> `Sent
  | `Full -> `Full
  | `Too_long -> `Too_long
  | `Disconnected -> `No_route

let send_link p mac ~size fill payload ~offload ~checksum_offset ~gso_size =
  p.ip.counters.sent <- p.ip.counters.sent + 1;
  outcome
    (p.ip.link.send mac `IPv6 ~size fill payload
       ~checksum_start:(if offload then header else 0)
       ~checksum_offset ~gso_size)

(* The next hop's link address has to be asked for: what is to be sent waits with the question. *)
let send_after_query p head payload ~offload ~checksum_offset ~gso_size =
  let size = Cstruct.length head in
  let send mac =
    send_link p mac ~size
      (fun b -> Cstruct.blit head 0 b 0 size)
      payload ~offload ~checksum_offset ~gso_size
  in
  let query = query p.ip p.via in
  match Lwt.state query with
  | Lwt.Return (Ok mac) -> send mac
  | Lwt.Return (Error ()) | Lwt.Fail _ -> `No_route
  | Lwt.Sleep ->
      Lwt.on_any query
        (function
          | Ok mac ->
              ignore (send mac : Ip_ext.outcome);
              p.ip.link.flush ()
          | Error () -> p.ip.counters.unresolved <- p.ip.counters.unresolved + 1)
        ignore;
      `Sent

let output p ?(tos = 0) ?(gso_size = 0) ~proto ~checksum_offset ~size fill payload =
  refresh p;
  let t = p.ip in
  let length = size + Cstruct.lenv payload in
  let limit = if gso_size > 0 then max_segment p else path_mtu p in
  let proto = protocol proto in
  let offload = (t.link.features ()).checksum in
  let emit = emit p ~tos ~proto ~checksum_offset ~size fill payload ~length in
  match p.hop with
  | Nowhere -> `No_route
  | (Own | Mac _ | Neighbour _) when length > limit -> `Too_long
  | Own ->
      let b = Cstruct.create (header + length) in
      emit ~offload:false b;
      ignore (Cstruct.fillv ~src:payload ~dst:(Cstruct.shift b (header + size)));
      to_own t (W.Packet.v ~checksum:`Valid b)
  | Mac mac ->
      send_link p mac ~size:(header + size) (emit ~offload) payload ~offload ~checksum_offset
        ~gso_size
  | Neighbour e when Neighbour.fresh e ~now:(Env.now ()) ->
      send_link p (Neighbour.mac e) ~size:(header + size) (emit ~offload) payload ~offload
        ~checksum_offset ~gso_size
  | Neighbour _ ->
      p.hop <- Neighbour (Neighbour.find (Ndp_engine.neighbours t.ndp) p.via);
      let head = Cstruct.create (header + size) in
      emit ~offload head;
      send_after_query p head payload ~offload ~checksum_offset ~gso_size

(* {1 Mirage's output} *)

let packets p ~hop_limit ~proto ~mtu content =
  let length = Cstruct.length content in
  let whole =
    ( header + length,
      fun b ->
        emit_header ~src:p.from ~dst:p.dst ~traffic_class:0 ~next_header:proto ~hop_limit ~length b;
        Cstruct.blit content 0 b header length )
  in
  if header + length <= mtu then [ whole ]
  else (
    p.ip.id <- p.ip.id + 1;
    let id = p.ip.id land 0xffffffff in
    let overhead = W.Ipv6.fragment_header_length in
    let room = (mtu - header - overhead) land lnot 7 in
    let piece off len more =
      ( header + overhead + len,
        fun b ->
          emit_header ~src:p.from ~dst:p.dst ~traffic_class:0 ~next_header:44 ~hop_limit
            ~length:(overhead + len) b;
          W.Ipv6.emit_fragment ~next_header:proto { id; offset = off; more }
            (Cstruct.shift b header);
          Cstruct.blit content off b (header + overhead) len )
    in
    let rec cut off =
      if length - off <= room then [ piece off (length - off) false ]
      else piece off room true :: cut (off + room)
    in
    cut 0)

(* The neighbour's address, by asking for it if need be. *)
let with_mac p f =
  let mac =
    match p.hop with
    | Mac mac -> Lwt.return_ok mac
    | Neighbour _ -> query p.ip p.via
    | Own | Nowhere -> Lwt.return_error ()
  in
  Lwt.bind mac (function
    | Ok mac -> f mac
    | Error () ->
        p.ip.counters.unresolved <- p.ip.counters.unresolved + 1;
        Lwt.return_error (`No_route (Fmt.str "no answer from %a" Ipaddr.V6.pp p.via)))

let write_link p mac ~size fill =
  p.ip.counters.sent <- p.ip.counters.sent + 1;
  Lwt.map (Result.map_error (fun s -> `Link s)) (p.ip.link.write mac `IPv6 ~size fill)

let rec write_pieces p mac = function
  | [] -> Lwt.return_ok ()
  | (size, emit) :: rest ->
      let fill b =
        emit b;
        size
      in
      Lwt.bind (write_link p mac ~size fill) (function
        | Ok () -> write_pieces p mac rest
        | Error _ as e -> Lwt.return e)

(* What fits for certain is written straight into the device's buffer. *)
let write_whole p mac ~hop_limit ~proto ~size fill payload =
  let rest = Cstruct.lenv payload in
  write_link p mac
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
    let packets = packets p ~hop_limit ~proto ~mtu content in
    match p.hop with
    | Mac _ | Neighbour _ | Nowhere -> with_mac p (fun mac -> write_pieces p mac packets)
    | Own ->
        let deliver (size, emit) =
          let b = Cstruct.create size in
          emit b;
          to_own p.ip (W.Packet.v ~checksum:`Valid b) = `Sent
        in
        let ok = List.for_all deliver packets in
        Lwt.return (if ok then Ok () else Error (`No_route "no loopback"))

let write t ?(fragment = true) ?ttl ?src dst proto ?(size = 0) fill payload =
  match path t ?src dst with
  | Error e -> Lwt.return_error (e :> error)
  | Ok p -> (
      let proto = protocol proto and mtu = mtu_to t dst in
      let hop_limit = match ttl with Some n -> n | None -> Ndp_engine.hop_limit t.ndp in
      match p.hop with
      | (Mac _ | Neighbour _) when header + size + Cstruct.lenv payload <= mtu ->
          with_mac p (fun mac -> write_whole p mac ~hop_limit ~proto ~size fill payload)
      | Mac _ | Neighbour _ | Own | Nowhere ->
          let head = Cstruct.create size in
          let used = fill head in
          let content = Cstruct.concat (Cstruct.sub head 0 used :: payload) in
          write_content p ~fragment ~hop_limit ~proto ~mtu content)
