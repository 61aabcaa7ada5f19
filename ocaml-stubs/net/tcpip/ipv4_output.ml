(* IPv4 packets on their way out: by paths, and by Mirage's [write]. *)

open Mirust_net_engine
open Mirust_net_env
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

(* There may be a route once there is an address. *)
let rec route t ?src dst =
  match Routes.lookup ?src t.routes dst with
  | Error (No_address | No_gateway | No_such_source) when t.acquiring ->
      Lwt.bind (Lwt_condition.wait t.changed) (fun () -> route t ?src dst)
  | Error Not_a_destination | Error _ | Ok _ -> Lwt.return (path t ?src dst)

let source p = p.from
let destination p = p.dst
let is_unicast p = not (Routes.is_group p.ip.routes p.dst)
let lower_mtu p n = Pmtu.lower p.ip.pmtu ~now:(Env.now ()) p.dst n ~link:(link_mtu p.ip)
let confirm p = match p.hop with Mac _ -> p.ip.resolver.confirm_hop p.via | Own -> ()

let max_segment p =
  let f = p.ip.out.link.features () in
  match p.hop with Mac _ when f.tso4 -> f.max_gso - header | Mac _ | Own -> 0

(* The routes have changed since. A path keeps its source address, so that a connection lives on if
   the address came back; if it did not, there is no use in sending. *)
let refresh p =
  p.known = p.ip.generation
  ||
  match Routes.lookup ~src:p.from p.ip.routes p.dst with
  | Error _ -> false
  | Ok (_, next) ->
      let via, hop = hop_of p.ip p.dst next in
      p.via <- via;
      p.hop <- hop;
      p.known <- p.ip.generation;
      true

let mtu_at p ~now =
  ignore (refresh p : bool);
  match p.hop with
  | Own -> W.Ipv4.max_length - header
  | Mac _ -> Pmtu.get p.ip.pmtu ~now p.dst ~link:(link_mtu p.ip) - header

let path_mtu p = mtu_at p ~now:(Env.now ())

(* The headers of a packet, at byte [at] of a buffer. *)
let emit_headers p ~tos ~proto ~offload ~checksum_offset ~size fill payload ~length b ~at =
  W.Ipv4.emit_plain ~src:(W.Field.int_of_v4 p.from) ~dst:(W.Field.int_of_v4 p.dst) ~proto
    ~ttl:p.ip.ttl ~tos ~id:0 ~dont_fragment:true ~total:(header + length) b ~at;
  let pseudo = W.Checksum.pseudo_v4 ~src:p.from ~dst:p.dst ~proto ~len:length in
  Outgoing.emit_transport ~pseudo ~checksum_offset ~offload fill payload b ~at:(at + header) ~size

let output p ~tos ~gso_size ~proto ~checksum_offset ~size fill payload =
  let out = p.ip.out in
  let length = size + Cstruct.lenv payload in
  if not (refresh p) then `No_route
  else if length > if gso_size > 0 then max_segment p else mtu_at p ~now:(Env.recent ()) then
    `Too_long
  else
    let proto = protocol proto and offload = (out.link.features ()).checksum in
    match p.hop with
    | Own ->
        Outgoing.send_to_own out ~checksum:`Blank ~size:(header + size)
          (emit_headers p ~tos ~proto ~offload:true ~checksum_offset ~size fill payload ~length
             ~at:0)
          payload
    | Mac hop -> (
        match hop () with
        | Some mac ->
            let head = out.link.reserve (header + size) in
            if Cstruct.length head > 0 then
              emit_headers p ~tos ~proto ~offload ~checksum_offset ~size fill payload ~length head
                ~at:out.link.header;
            Outgoing.send out mac head payload ~offload ~checksum_offset ~gso_size
        | None ->
            let query = p.ip.resolver.query p.via in
            let lost quoted = tell_problem p.ip ~proto ~src:p.from ~dst:p.dst No_neighbour quoted in
            let head = Cstruct.create (header + size) in
            emit_headers p ~tos ~proto ~offload ~checksum_offset ~size fill payload ~length head
              ~at:0;
            Outgoing.send_after out query ~lost head payload ~offload ~checksum_offset ~gso_size)

(* {1 Mirage's output} *)

(* The packets to send for one content: whole, or in pieces. *)
let pieces p ~ttl ~proto ~mtu content : Outgoing.piece list =
  let id = next_id p.ip ~src:p.from ~dst:p.dst in
  let piece ~off ~len ~more : Outgoing.piece =
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
    let emit b =
      W.Ipv4.emit repr b;
      Cstruct.blit content off b header len
    in
    { size = header + len; emit }
  in
  Outgoing.cut ~length:(Cstruct.length content) ~room:(mtu - header) piece

(* The neighbour's address, by asking for it if need be. *)
let with_mac p hop ~octets f =
  ignore (Env.now () : int);
  let query =
    match hop () with Some mac -> Lwt.return_ok mac | None -> p.ip.resolver.query p.via
  in
  Outgoing.with_mac p.ip.out query ~pp:Ipaddr.V4.pp ~octets p.via f

(* What fits for certain is written straight into the device's buffer. *)
let write_whole p mac ~ttl ~proto ~size fill payload =
  let length = Cstruct.lenv payload in
  Outgoing.write p.ip.out mac
    ~size:(header + size + length)
    (fun b ->
      let used = fill (Cstruct.sub b header size) in
      let total = header + used + length in
      ignore (Cstruct.fillv ~src:payload ~dst:(Cstruct.shift b (header + used)));
      W.Ipv4.emit_plain ~src:(W.Field.int_of_v4 p.from) ~dst:(W.Field.int_of_v4 p.dst) ~proto ~ttl
        ~tos:0
        ~id:(next_id p.ip ~src:p.from ~dst:p.dst)
        ~dont_fragment:false ~total b ~at:0;
      total)

let write_content p ~fragment ~ttl ~proto ~mtu content =
  let length = header + Cstruct.length content in
  if length > 0xffff || (length > mtu && not fragment) then Lwt.return_error `Would_fragment
  else
    let pieces = pieces p ~ttl ~proto ~mtu content in
    match p.hop with
    | Mac hop ->
        with_mac p hop ~octets:length (fun mac -> Outgoing.write_pieces p.ip.out mac pieces)
    | Own -> Outgoing.pieces_to_own p.ip.out pieces

let write_by path t ?(fragment = true) ?(ttl = t.ttl) ?src dst proto ?(size = 0) fill payload =
  match path t ?src dst with
  | Error e -> Lwt.return_error (e :> error)
  | Ok p -> (
      let proto = protocol proto and mtu = mtu_to t dst in
      let octets = header + size + Cstruct.lenv payload in
      match p.hop with
      | Mac hop when octets <= mtu ->
          with_mac p hop ~octets (fun mac -> write_whole p mac ~ttl ~proto ~size fill payload)
      | Mac _ | Own ->
          let head = Cstruct.create size in
          let used = fill head in
          let content = Cstruct.concat (Cstruct.sub head 0 used :: payload) in
          write_content p ~fragment ~ttl ~proto ~mtu content)

let write t = write_by path t

let forward t =
  let any_source t ?src dst =
    match (path t dst, src) with
    | Ok ({ hop = Mac _; _ } as p), Some from when is_unicast p -> Ok { p with from }
    | (Ok { hop = Mac _ | Own; _ } | Error _), _ -> path t ?src dst
  in
  write_by any_source t
