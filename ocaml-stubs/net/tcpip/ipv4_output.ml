(* IPv4 packets on their way out: by paths, and by Mirage's [write]. *)

open Mirust_net_engine
open Mirust_net_env
open Mirust_mirage_types
open Ipv4_state

type hop = Mac of (unit -> Macaddr.t option) | Own

type path = {
  ip : t;
  from : ipaddr;
  dst : ipaddr;
  mutable via : ipaddr;
  mutable hop : hop;
  mutable known : int; (* the generation of routes that [via] and [hop] come from *)
}

let hop_of t dst (next : Routes.next_hop) =
  match next with
  | Link via -> (via, Mac (t.resolver.hop via))
  | Broadcast -> (dst, Mac (fun () -> Some Macaddr.broadcast))
  | Multicast ->
      let mac = Some (Ipaddr.V4.multicast_to_mac dst) in
      (dst, Mac (fun () -> mac))
  | Local -> (dst, Own)

let path t ?src dst =
  match Routes.lookup ?src t.routes dst with
  | Error e -> Error (no_route e)
  | Ok (from, next) ->
      let via, hop = hop_of t dst next in
      Ok { ip = t; from; dst; via; hop; known = t.generation }

let source p = p.from
let destination p = p.dst
let path_mtu p = mtu p.ip ~dst:p.dst
let lower_mtu p n = Pmtu.lower p.ip.pmtu ~now:(Env.now ()) p.dst n ~link:(link_mtu p.ip)
let confirm p = match p.hop with Mac _ -> p.ip.resolver.confirm_hop p.via | Own -> ()

let max_segment p =
  let f = p.ip.link.features () in
  match p.hop with Mac _ when f.tso4 -> f.max_gso - header | Mac _ | Own -> 0

(* The routes have changed since. A path keeps its source address, so that a connection lives on if
   the address came back; if it did not, there is no use in sending. *)
let refresh p =
  p.known = p.ip.generation
  ||
  match Routes.lookup ~src:p.from p.ip.routes p.dst with
  | Error _ -> false
  | Ok (_, next) ->
      let usable = Ipaddr.V4.(compare p.from any) = 0 || Routes.is_local p.ip.routes p.from in
      if usable then (
        let via, hop = hop_of p.ip p.dst next in
        p.via <- via;
        p.hop <- hop;
        p.known <- p.ip.generation);
      usable

let emit_header p ~tos ~proto ~total ~dont_fragment b =
  W.Ipv4.emit_plain ~src:(W.Field.int_of_v4 p.from) ~dst:(W.Field.int_of_v4 p.dst) ~proto
    ~ttl:p.ip.ttl ~tos ~id:(next_id p.ip) ~dont_fragment ~total b

(* IP header, transport header and its checksum, in the first [header + size] bytes of [b]. *)
let emit p ~tos ~proto ~checksum_offset ~size ~offload fill payload ~length b =
  emit_header p ~tos ~proto ~total:(header + length) ~dont_fragment:true b;
  let transport = Cstruct.sub b header size in
  fill transport;
  let pseudo = W.Checksum.pseudo_v4 ~src:p.from ~dst:p.dst ~proto ~len:length in
  if offload then W.Field.set_u16 transport checksum_offset (W.Checksum.fold pseudo)
  else (
    W.Field.set_u16 transport checksum_offset 0;
    let sum = W.Checksum.fragments (W.Checksum.bytes pseudo transport) payload in
    let v = W.Checksum.finish sum in
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

(* The head is ready in a buffer of its own. *)
let send_ready p mac head payload ~offload ~checksum_offset ~gso_size =
  let size = Cstruct.length head in
  p.ip.counters.sent <- p.ip.counters.sent + 1;
  p.ip.link.send mac `IPv4 ~size
    (fun b -> Cstruct.blit head 0 b 0 size)
    payload
    ~checksum_start:(if offload then header else 0)
    ~checksum_offset ~gso_size

(* The next hop's link address has to be asked for: what is to be sent waits with the question. *)
let send_after_query p head payload ~offload ~checksum_offset ~gso_size =
  let send mac = send_ready p mac head payload ~offload ~checksum_offset ~gso_size in
  let query = p.ip.resolver.query p.via in
  match Lwt.state query with
  | Lwt.Return (Ok mac) -> outcome (send mac)
  | Lwt.Return (Error ()) | Lwt.Fail _ -> `No_route
  | Lwt.Sleep ->
      Lwt.on_any query
        (function
          | Ok mac ->
              ignore (send mac : Link.outcome);
              p.ip.link.flush ()
          | Error () -> p.ip.counters.unresolved <- p.ip.counters.unresolved + 1)
        ignore;
      `Sent

let output p ?(tos = 0) ?(gso_size = 0) ~proto ~checksum_offset ~size fill payload =
  let t = p.ip in
  let length = size + Cstruct.lenv payload in
  let limit = if gso_size > 0 then max_segment p else path_mtu p in
  if not (refresh p) then `No_route
  else if length > limit then `Too_long
  else
    let proto = protocol proto in
    let offload = (t.link.features ()).checksum in
    match p.hop with
    | Own ->
        let b = Cstruct.create (header + length) in
        emit p ~tos ~proto ~checksum_offset ~size ~offload:false fill payload ~length b;
        ignore (Cstruct.fillv ~src:payload ~dst:(Cstruct.shift b (header + size)));
        to_own t (W.Packet.v ~checksum:`Valid b)
    | Mac hop -> (
        match hop () with
        | Some mac ->
            t.counters.sent <- t.counters.sent + 1;
            outcome
              (t.link.send mac `IPv4 ~size:(header + size)
                 (emit p ~tos ~proto ~checksum_offset ~size ~offload fill payload ~length)
                 payload
                 ~checksum_start:(if offload then header else 0)
                 ~checksum_offset ~gso_size)
        | None ->
            let head = Cstruct.create (header + size) in
            emit p ~tos ~proto ~checksum_offset ~size ~offload fill payload ~length head;
            send_after_query p head payload ~offload ~checksum_offset ~gso_size)

(* {1 Mirage's output} *)

(* The packets to send for one content: whole, or in pieces. Each is a function that writes
   header and content into exactly the size given with it. *)
let packets p ~ttl ~proto ~mtu content =
  let length = Cstruct.length content in
  let id = next_id p.ip in
  let piece ~off ~len ~more =
    let repr : W.Ipv4.t =
      {
        src = p.from;
        dst = p.dst;
        proto;
        ttl;
        tos = 0;
        id;
        dont_fragment = false;
        more_fragments = more;
        fragment_offset = off;
        options = Cstruct.empty;
        payload_length = len;
      }
    in
    ( header + len,
      fun b ->
        W.Ipv4.emit repr b;
        Cstruct.blit content off b header len )
  in
  let room = (mtu - header) land lnot 7 in
  let rec cut off =
    if length - off <= mtu - header then [ piece ~off ~len:(length - off) ~more:false ]
    else piece ~off ~len:room ~more:true :: cut (off + room)
  in
  cut 0

(* The neighbour's address, by asking for it if need be. *)
let with_mac p hop f =
  let mac = match hop () with Some mac -> Lwt.return_ok mac | None -> p.ip.resolver.query p.via in
  Lwt.bind mac (function
    | Ok mac -> f mac
    | Error () ->
        p.ip.counters.unresolved <- p.ip.counters.unresolved + 1;
        Lwt.return_error (`No_route (Fmt.str "no answer from %a" Ipaddr.V4.pp p.via)))

let write_link p mac ~size fill =
  p.ip.counters.sent <- p.ip.counters.sent + 1;
  Lwt.map (Result.map_error (fun s -> `Link s)) (p.ip.link.write mac `IPv4 ~size fill)

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
let write_whole p mac ~ttl ~proto ~size fill payload =
  let length = Cstruct.lenv payload in
  write_link p mac
    ~size:(header + size + length)
    (fun b ->
      let used = fill (Cstruct.sub b header size) in
      let total = header + used + length in
      ignore (Cstruct.fillv ~src:payload ~dst:(Cstruct.shift b (header + used)));
      W.Ipv4.emit_plain ~src:(W.Field.int_of_v4 p.from) ~dst:(W.Field.int_of_v4 p.dst) ~proto ~ttl
        ~tos:0 ~id:(next_id p.ip) ~dont_fragment:false ~total b;
      total)

let write_content p ~fragment ~ttl ~proto ~mtu content =
  let length = header + Cstruct.length content in
  if length > 0xffff || (length > mtu && not fragment) then Lwt.return_error `Would_fragment
  else
    let packets = packets p ~ttl ~proto ~mtu content in
    match p.hop with
    | Mac hop -> with_mac p hop (fun mac -> write_pieces p mac packets)
    | Own ->
        let deliver (size, emit) =
          let b = Cstruct.create size in
          emit b;
          to_own p.ip (W.Packet.v ~checksum:`Valid b) = `Sent
        in
        let ok = List.for_all deliver packets in
        Lwt.return (if ok then Ok () else Error (`No_route "no loopback"))

let write t ?(fragment = true) ?(ttl = t.ttl) ?src dst proto ?(size = 0) fill payload =
  match path t ?src dst with
  | Error e -> Lwt.return_error (e :> error)
  | Ok p -> (
      let proto = protocol proto and mtu = mtu_to t dst in
      match p.hop with
      | Mac hop when header + size + Cstruct.lenv payload <= mtu ->
          with_mac p hop (fun mac -> write_whole p mac ~ttl ~proto ~size fill payload)
      | Mac _ | Own ->
          let head = Cstruct.create size in
          let used = fill head in
          let content = Cstruct.concat (Cstruct.sub head 0 used :: payload) in
          write_content p ~fragment ~ttl ~proto ~mtu content)
