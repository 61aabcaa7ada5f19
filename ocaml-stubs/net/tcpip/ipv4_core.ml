open Mirust_net_engine
open Mirust_net_env
open Mirust_mirage_types
module W = Mirust_wire
module P = Ipaddr.V4.Prefix

let src = Logs.Src.create "mirust.ipv4" ~doc:"IPv4"

module Log = (val Logs.src_log src : Logs.LOG)

type error = [ Tcpip.Ip.error | `Link of string ]

let pp_error ppf = function
  | #Tcpip.Ip.error as e -> Tcpip.Ip.pp_error ppf e
  | `Link s -> Fmt.pf ppf "link: %s" s

type ipaddr = Ipaddr.V4.t

let pp_ipaddr = Ipaddr.V4.pp

type prefix = P.t

let pp_prefix = P.pp

type callback = src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t
type receiver = src:ipaddr -> dst:ipaddr -> tos:int -> W.Packet.t -> unit

type resolver = {
  query : ipaddr -> (Macaddr.t, unit) result Lwt.t;
  hop : ipaddr -> unit -> Macaddr.t option;
  confirm_hop : ipaddr -> unit;
}

let resolver_of_arp arp =
  {
    query = (fun ip -> Lwt.map (Result.map_error ignore) (Arp_core.query arp ip));
    hop = Arp_core.hop arp;
    confirm_hop = Arp_core.confirm arp;
  }

type counters = {
  mutable received : int;
  mutable malformed : int;
  mutable not_for_us : int;
  mutable fragments : int;
  mutable reassembled : int;
  mutable reassembly_failed : int;
  mutable sent : int;
  mutable unresolved : int;
}

(* Source, destination, protocol, identification: what tells packets in pieces apart. *)
type key = int * int * int

type t = {
  link : Link.t;
  resolver : resolver;
  ttl : int;
  mutable routes : Routes.t;
  mutable generation : int; (* of [routes]: paths compare it *)
  reassembly : key Reassembly.t;
  timer : Timer.t Lazy.t;
  pmtu : ipaddr Pmtu.t;
  mutable id : int;
  mutable problems :
    (proto:int -> src:ipaddr -> dst:ipaddr -> Ip_ext.problem -> Cstruct.t -> unit) list;
  mutable loopback : (W.Packet.t -> unit) option;
  mutable mtu_limit : int; (* max_int: the link's *)
  mutable looped : bool; (* what comes in now was sent by ourselves *)
  counters : counters;
}

let counters t = t.counters
let header = W.Ipv4.min_header_length

(* Hosts use 552 as the smallest MTU they believe in (as large systems do), well above the 68 of RFC
   791 that would let a forged report turn a bulk transfer into a flood of headers. *)
let minimum_mtu = 552

let create ?(reassembly = Reassembly.default) ?(ttl = 64) link resolver =
  let reassembly = Reassembly.create reassembly in
  let timer =
    let rec timer =
      lazy
        (Timer.create (fun () ->
             ignore (Reassembly.tick reassembly ~now:(Env.now ()));
             Timer.set (Lazy.force timer) (Reassembly.next reassembly)))
    in
    timer
  in
  {
    link;
    resolver;
    ttl;
    routes = Routes.empty;
    generation = 0;
    reassembly;
    timer;
    pmtu = Pmtu.create ~minimum:minimum_mtu ();
    id = Env.random_int 0x10000;
    problems = [];
    loopback = None;
    mtu_limit = max_int;
    looped = false;
    counters =
      {
        received = 0;
        malformed = 0;
        not_for_us = 0;
        fragments = 0;
        reassembled = 0;
        reassembly_failed = 0;
        sent = 0;
        unresolved = 0;
      };
  }

let disconnect t =
  Timer.stop (Lazy.force t.timer);
  Lwt.return_unit

let routes t = t.routes

let set_routes t routes =
  t.routes <- routes;
  t.generation <- t.generation + 1

let set_loopback t f = t.loopback <- Some f
let configured_ips t = Routes.addresses t.routes
let get_ip t = List.map P.address (configured_ips t)
let on_room t f = t.link.on_room f
let flush t = t.link.flush ()
let on_problem t f = t.problems <- t.problems @ [ f ]
let no_route e = `No_route (Fmt.to_to_string Routes.pp_error e)

let src t ~dst =
  match Routes.lookup t.routes dst with Ok (src, _) -> src | Error _ -> Ipaddr.V4.any

let link_mtu t = min t.mtu_limit (t.link.mtu ())
let set_mtu t mtu = t.mtu_limit <- (match mtu with Some n -> max minimum_mtu n | None -> max_int)
let mtu_to t dst = Pmtu.get t.pmtu ~now:(Env.now ()) dst ~link:(link_mtu t)
let mtu t ~dst = mtu_to t dst - header
let protocol = function `TCP -> 6 | `UDP -> 17 | `ICMP -> 1

let pseudoheader t ?src:from dst proto len =
  let from = match from with Some a -> a | None -> src t ~dst in
  let b = Cstruct.create 12 in
  W.Field.set_v4 b 0 from;
  W.Field.set_v4 b 4 dst;
  W.Field.set_u8 b 9 (protocol proto);
  W.Field.set_u16 b 10 len;
  b

let next_id t =
  t.id <- (t.id + 1) land 0xffff;
  t.id

(* {1 Paths} *)

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

(* {1 Input} *)

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
        List.iter (fun f -> f ~proto:h.proto ~src:h.src ~dst:h.dst problem transport) t.problems
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
  | 6 -> tcp ~src ~dst ~tos packet
  | 17 -> udp ~src ~dst ~tos packet
  | 1 ->
      problem t packet.W.Packet.data;
      default ~proto:1 ~src ~dst ~tos packet
  | proto -> default ~proto ~src ~dst ~tos packet

(* No host has such an address, or it is ours, and then the packet did not come from elsewhere. *)
let impossible_source t a =
  Ipaddr.V4.(compare a broadcast = 0 || is_multicast a)
  || (Routes.is_local t.routes a && not t.looped)

(* Without an address we are a DHCP client, and nothing else is for us. *)
let is_for_us t (h : W.Ipv4.t) =
  Routes.is_for_us t.routes h.dst && (h.proto = 17 || Routes.addresses t.routes <> [])

let input_packet t ~tcp ~udp ~default (p : W.Packet.t) =
  let c = t.counters in
  c.received <- c.received + 1;
  match W.Ipv4.parse p.data with
  | Error e ->
      c.malformed <- c.malformed + 1;
      Log.debug (fun m -> m "dropped: %a" W.Ipv4.pp_error e)
  | Ok h when impossible_source t h.src || not (is_for_us t h) -> c.not_for_us <- c.not_for_us + 1
  | Ok h when not (W.Ipv4.is_fragment h) ->
      deliver t ~tcp ~udp ~default h { p with data = W.Ipv4.payload h p.data }
  | Ok h -> (
      c.fragments <- c.fragments + 1;
      let key = (W.Field.int_of_v4 h.src, W.Field.int_of_v4 h.dst, (h.id lsl 8) lor h.proto) in
      let now = Env.now () in
      let outcome =
        Reassembly.add t.reassembly ~now key ~offset:h.fragment_offset ~more:h.more_fragments
          (W.Ipv4.payload h p.data)
      in
      Timer.set (Lazy.force t.timer) (Reassembly.next t.reassembly);
      match outcome with
      | Pending -> ()
      | Dropped _ -> c.reassembly_failed <- c.reassembly_failed + 1
      | Complete data ->
          c.reassembled <- c.reassembled + 1;
          deliver t ~tcp ~udp ~default h (W.Packet.v data))

let input t ~tcp ~udp ~default b =
  (* Mirage's callbacks return promises, the receivers here do not: the last one is passed on. *)
  let result = ref Lwt.return_unit in
  let receiver (f : callback) ~src ~dst ~tos:_ (p : W.Packet.t) = result := f ~src ~dst p.data in
  input_packet t ~tcp:(receiver tcp) ~udp:(receiver udp)
    ~default:(fun ~proto -> receiver (default ~proto))
    (W.Packet.v b);
  !result
