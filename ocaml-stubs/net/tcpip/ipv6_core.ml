open Mirust_net_engine
open Mirust_net_env
open Mirust_mirage_types
module W = Mirust_wire
module P = Ipaddr.V6.Prefix

let src = Logs.Src.create "mirust.ipv6" ~doc:"IPv6"

module Log = (val Logs.src_log src : Logs.LOG)

type error = [ Tcpip.Ip.error | `Link of string ]

let pp_error ppf = function
  | #Tcpip.Ip.error as e -> Tcpip.Ip.pp_error ppf e
  | `Link s -> Fmt.pf ppf "link: %s" s

type ipaddr = Ipaddr.V6.t

let pp_ipaddr = Ipaddr.V6.pp

type prefix = P.t

let pp_prefix = P.pp

type callback = src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t
type receiver = src:ipaddr -> dst:ipaddr -> tos:int -> W.Packet.t -> unit

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

type waiter = (Macaddr.t, unit) result Lwt.u

(* Source, destination, identification, and the header that the content starts with. *)
type key = ipaddr * ipaddr * int * int
type address_event = [ `Ready of ipaddr | `Duplicate of ipaddr | `Expired of ipaddr ]

type t = {
  link : Link.t;
  ndp : waiter Ndp_engine.t;
  ndp_timer : Timer.t Lazy.t;
  reassembly : key Reassembly.t;
  reassembly_timer : Timer.t Lazy.t;
  pmtu : ipaddr Pmtu.t;
  mutable id : int;
  mutable problems :
    (proto:int -> src:ipaddr -> dst:ipaddr -> Ip_ext.problem -> Cstruct.t -> unit) list;
  mutable address : (address_event -> unit) list;
  mutable loopback : (W.Packet.t -> unit) option;
  mutable looped : bool; (* what comes in now was sent by ourselves *)
  mutable ping_seq : int;
  ping_id : int;
  pings : (int, int * int Lwt.u) Hashtbl.t;
  errors : Bucket.t;
  changed : unit Lwt_condition.t;
  counters : counters;
}

let header = W.Ipv6.header_length
let counters t = t.counters
let is_multicast = Ipaddr.V6.is_multicast

(* {1 Neighbour discovery} *)

let emit_header ~src ~dst ~traffic_class ~next_header ~hop_limit ~length b =
  W.Ipv6.emit
    { src; dst; traffic_class; flow_label = 0; next_header; hop_limit; payload_length = length }
    b

let raw_send t mac ~size fill =
  t.counters.sent <- t.counters.sent + 1;
  let outcome =
    t.link.send mac `IPv6 ~size fill [] ~checksum_start:0 ~checksum_offset:0 ~gso_size:0
  in
  t.link.flush ();
  match outcome with
  | `Sent -> ()
  | `Full | `Too_long | `Disconnected -> Log.debug (fun m -> m "not sent")

(* RFC 2711 and RFC 3810 section 5: routers look at listener reports only with this option. *)
let router_alert b =
  W.Field.set_u32 b 0 ((W.Icmpv6.proto lsl 24) lor 0x000502);
  W.Field.set_u32 b 4 0x00000100

let fill_ndp ~src ~dst message b =
  let length = W.Icmpv6.length message in
  let report = match message with W.Icmpv6.Listener_report _ -> true | _ -> false in
  let alert = if report then 8 else 0 in
  emit_header ~src ~dst ~traffic_class:0
    ~next_header:(if report then 0 else W.Icmpv6.proto)
    ~hop_limit:(if report then 1 else 255)
    ~length:(alert + length) b;
  if report then router_alert (Cstruct.shift b header);
  W.Icmpv6.emit ~src ~dst message (Cstruct.shift b (header + alert))

let ndp_size (message : W.Icmpv6.t) =
  let alert = match message with Listener_report _ -> 8 | _ -> 0 in
  header + alert + W.Icmpv6.length message

(* As everywhere, the engine's state is settled before its actions are performed. *)
let rec perform_all t actions =
  List.iter (perform t) actions;
  Timer.set (Lazy.force t.ndp_timer) (Ndp_engine.next t.ndp)

and perform t (action : waiter Ndp_engine.action) =
  match action with
  | Send { src; dst; mac = Some mac; message } ->
      raw_send t mac ~size:(ndp_size message) (fill_ndp ~src ~dst message)
  | Send { src; dst; mac = None; message } ->
      Lwt.on_success (query t dst) (function
        | Ok mac -> raw_send t mac ~size:(ndp_size message) (fill_ndp ~src ~dst message)
        | Error () -> ())
  | Transmit { packet; mac } -> Lwt.wakeup_later packet (Ok mac)
  | Unreachable { target; packets } ->
      Log.info (fun m -> m "no answer from %a" Ipaddr.V6.pp target);
      List.iter (fun u -> Lwt.wakeup_later u (Error ())) packets
  | Overflow u -> Lwt.wakeup_later u (Error ())
  | Ready a -> tell t (`Ready a)
  | Duplicate a ->
      Log.warn (fun m -> m "%a is used by another station" Ipaddr.V6.pp a);
      tell t (`Duplicate a)
  | Expired a -> tell t (`Expired a)

and tell t event =
  List.iter (fun f -> f event) t.address;
  Lwt_condition.broadcast t.changed ()

and query t target =
  let now = Env.now () in
  let entry = Neighbour.find (Ndp_engine.neighbours t.ndp) target in
  if Neighbour.fresh entry ~now then Lwt.return_ok (Neighbour.mac entry)
  else
    let promise, resolver = Lwt.wait () in
    match Ndp_engine.send t.ndp ~now target resolver with
    | [ Transmit { mac; _ } ] ->
        perform_all t [];
        Lwt.return_ok mac
    | actions ->
        perform_all t actions;
        promise

let create ?(reassembly = Reassembly.default) ?(config = Ndp_engine.default) (link : Link.t) =
  let ndp = Ndp_engine.create { config with link_mtu = link.mtu () } link.mac in
  let reassembly = Reassembly.create reassembly in
  let rec reassembly_timer =
    lazy
      (Timer.create (fun () ->
           ignore (Reassembly.tick reassembly ~now:(Env.now ()));
           Timer.set (Lazy.force reassembly_timer) (Reassembly.next reassembly)))
  in
  let rec t =
    {
      link;
      ndp;
      ndp_timer =
        lazy (Timer.create (fun () -> perform_all t (Ndp_engine.tick ndp ~now:(Env.now ()))));
      reassembly;
      reassembly_timer;
      pmtu = Pmtu.create ~minimum:1280 ();
      id = Env.random_int 0x40000000;
      problems = [];
      address = [];
      loopback = None;
      looped = false;
      ping_seq = 0;
      ping_id = Env.random_int 0x10000;
      pings = Hashtbl.create 4;
      errors = Bucket.create ~rate:50 ~burst:50;
      changed = Lwt_condition.create ();
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
  in
  t

let start t = perform_all t (Ndp_engine.start t.ndp ~now:(Env.now ()))
let add_address t cidr = perform_all t (Ndp_engine.add_address t.ndp ~now:(Env.now ()) cidr)

let add_router t router =
  Ndp_engine.add_router t.ndp router;
  Lwt_condition.broadcast t.changed ()

let on_address t f = t.address <- t.address @ [ f ]
let dns t = Ndp_engine.dns t.ndp ~now:(Env.now ())
let set_loopback t f = t.loopback <- Some f
let on_room t f = t.link.on_room f
let flush t = t.link.flush ()
let on_problem t f = t.problems <- t.problems @ [ f ]

let disconnect t =
  Timer.stop (Lazy.force t.ndp_timer);
  Timer.stop (Lazy.force t.reassembly_timer);
  Lwt.return_unit

let configured_ips t = Ndp_engine.addresses t.ndp
let get_ip t = List.map P.address (configured_ips t)
let find_source t dst = Ndp_engine.source t.ndp ~now:(Env.now ()) dst
let src t ~dst = Option.value (find_source t dst) ~default:Ipaddr.V6.unspecified
let link_mtu t = min (t.link.mtu ()) (Ndp_engine.mtu t.ndp)
let mtu_to t dst = Pmtu.get t.pmtu ~now:(Env.now ()) dst ~link:(link_mtu t)
let mtu t ~dst = mtu_to t dst - header
let protocol = function `TCP -> 6 | `UDP -> 17 | `ICMP -> W.Icmpv6.proto

let pseudoheader t ?src:from dst proto len =
  let from = match from with Some a -> a | None -> src t ~dst in
  let b = Cstruct.create 40 in
  W.Field.set_v6 b 0 from;
  W.Field.set_v6 b 16 dst;
  W.Field.set_u32 b 32 len;
  W.Field.set_u8 b 39 (protocol proto);
  b

(* {1 Paths} *)

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

(* {1 ICMPv6} *)

let send_icmp t ~src ~dst message =
  let b = Cstruct.create (W.Icmpv6.length message) in
  W.Icmpv6.emit ~src ~dst message b;
  Lwt.dont_wait
    (fun () -> Lwt.map ignore (write t ~src dst `ICMP (fun _ -> 0) [ b ]))
    (fun e -> Log.err (fun m -> m "%s" (Printexc.to_string e)))

(* Errors are rationed, and never answer a group or a station without an address (RFC 4443 section
   2.4(e)); [group_too]: the two exceptions for groups. *)
let send_error t ?(group_too = false) ~src ~dst message =
  let source_ok = not (is_multicast src || Ipaddr.V6.compare src Ipaddr.V6.unspecified = 0) in
  if source_ok && ((not (is_multicast dst)) || group_too) && Bucket.take t.errors ~now:(Env.now ())
  then
    let from = if Ndp_engine.is_local t.ndp dst then Some dst else find_source t src in
    Option.iter (fun from -> send_icmp t ~src:from ~dst:src message) from

let max_quoted = 1280 - header - 8

let reject t ~src ~dst ~proto reason transport =
  let kept = min (Cstruct.length transport) (max_quoted - header) in
  let quoted = Cstruct.create (header + kept) in
  emit_header ~src ~dst ~traffic_class:0 ~next_header:proto ~hop_limit:64
    ~length:(min 0xffff (Cstruct.length transport))
    quoted;
  Cstruct.blit transport 0 quoted header kept;
  send_error t ~src ~dst (Unreachable { reason; quoted })

let quote data = Cstruct.sub data 0 (min (Cstruct.length data) max_quoted)

let chain_error t ~src ~dst data (e : W.Ipv6.chain_error) =
  let problem ?group_too code pointer =
    send_error t ?group_too ~src ~dst (Parameter_problem { code; pointer; quoted = quote data })
  in
  match e with
  | Chain_truncated | Too_many_headers -> ()
  | Misplaced_hop_by_hop at -> problem 1 at
  | Unknown_option { report = `No; _ } -> ()
  | Unknown_option { offset; report = `Unicast } -> problem 2 offset
  | Unknown_option { offset; report = `Always } -> problem ~group_too:true 2 offset
  | Unknown_routing at -> problem 0 at
  | Bad_fragment_length at -> problem 0 at

let report_problem t (problem : Ip_ext.problem) quoted =
  match W.Ipv6.header_of_packet quoted with
  | Error _ -> ()
  | Ok h when not (Ndp_engine.is_local t.ndp h.src) -> ()
  | Ok h -> (
      match
        W.Ipv6.follow ~next_header:h.next_header ~offset:header (Cstruct.shift quoted header)
      with
      | Ok { proto; data; fragment; router_alert = _ } ->
          let first = match fragment with None -> true | Some f -> f.offset = 0 in
          (match problem with
          | Too_big n when proto <> 6 ->
              ignore (Pmtu.lower t.pmtu ~now:(Env.now ()) h.dst n ~link:(link_mtu t))
          | Too_big _ | Unreachable _ | Expired -> ());
          if first && Cstruct.length data >= 8 then
            List.iter (fun f -> f ~proto ~src:h.src ~dst:h.dst problem data) t.problems
      | Error _ -> ())

let icmp t ~src ~dst ~hop_limit data =
  match W.Icmpv6.parse ~src ~dst data with
  | Error e -> Log.debug (fun m -> m "from %a: dropped: %a" Ipaddr.V6.pp src W.Icmpv6.pp_error e)
  | Ok
      (( Router_solicitation _ | Router_advertisement _ | Neighbour_solicitation _
       | Neighbour_advertisement _ | Redirect _ | Listener_query _ ) as m) ->
      let before = Ndp_engine.generation t.ndp in
      perform_all t (Ndp_engine.input t.ndp ~now:(Env.now ()) ~src ~dst ~hop_limit m);
      if Ndp_engine.generation t.ndp <> before then Lwt_condition.broadcast t.changed ()
  | Ok (Echo_request { id; seq; data }) ->
      let from = if is_multicast dst then find_source t src else Some dst in
      Option.iter (fun from -> send_icmp t ~src:from ~dst:src (Echo_reply { id; seq; data })) from
  | Ok (Echo_reply { id; seq; _ }) -> (
      match Hashtbl.find_opt t.pings seq with
      | Some (sent, resolver) when id = t.ping_id ->
          Hashtbl.remove t.pings seq;
          Lwt.wakeup_later resolver (Env.now () - sent)
      | Some _ | None -> ())
  | Ok (Packet_too_big { mtu; quoted }) -> report_problem t (Too_big mtu) quoted
  | Ok (Time_exceeded { quoted; _ }) -> report_problem t Expired quoted
  | Ok (Parameter_problem { code = 1; quoted; _ }) ->
      report_problem t (Unreachable `Protocol) quoted
  | Ok (Unreachable { reason; quoted }) ->
      let reason =
        match reason with
        | No_route | Beyond_scope | Unreachable_code _ -> `Network
        | Prohibited -> `Prohibited
        | Address -> `Host
        | Port -> `Port
      in
      report_problem t (Unreachable reason) quoted
  | Ok (Parameter_problem _ | Listener_report _) -> ()

let ping t ?(timeout = Env.sec 1) ?(payload = Cstruct.empty) dst =
  match find_source t dst with
  | None -> Lwt.return_error `No_route
  | Some from ->
      t.ping_seq <- (t.ping_seq + 1) land 0xffff;
      let seq = t.ping_seq in
      let answer, resolver = Lwt.wait () in
      Hashtbl.replace t.pings seq (Env.now (), resolver);
      let message = W.Icmpv6.Echo_request { id = t.ping_id; seq; data = payload } in
      let b = Cstruct.create (W.Icmpv6.length message) in
      W.Icmpv6.emit ~src:from ~dst message b;
      let open Lwt.Infix in
      Lwt.choose
        [
          ( write t ~src:from dst `ICMP (fun _ -> 0) [ b ] >>= function
            | Ok () -> Lwt.map Result.ok answer
            | Error _ -> Lwt.return_error `No_route );
          (Env.sleep timeout >|= fun () -> Error `Timeout);
        ]
      >|= fun result ->
      Hashtbl.remove t.pings seq;
      result

(* {1 Input} *)

let reassemble t (h : W.Ipv6.t) (f : W.Ipv6.fragment) proto data =
  let c = t.counters in
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

let input_packet t ~tcp ~udp ~default (p : W.Packet.t) =
  let c = t.counters in
  let deliver (h : W.Ipv6.t) proto packet =
    let { W.Ipv6.src; dst; traffic_class = tos; _ } = h in
    (* An address under duplicate detection receives neighbour discovery only. *)
    if proto = W.Icmpv6.proto then icmp t ~src ~dst ~hop_limit:h.hop_limit packet.W.Packet.data
    else if is_multicast dst || Ndp_engine.is_local t.ndp dst then
      match proto with
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
    | Ok { fragment = None; proto; data; _ } -> deliver h proto { packet with data }
    | Ok { fragment = Some _; _ } when again -> c.malformed <- c.malformed + 1
    | Ok { fragment = Some f; proto; data; _ } ->
        Option.iter
          (fun data -> follow h ~next_header:proto ~again:true (W.Packet.v data))
          (reassemble t h f proto data)
  in
  c.received <- c.received + 1;
  match W.Ipv6.parse p.data with
  | Error e ->
      c.malformed <- c.malformed + 1;
      Log.debug (fun m -> m "dropped: %a" W.Ipv6.pp_error e)
  | Ok h
    when is_multicast h.src
         || (Ndp_engine.is_local t.ndp h.src && not t.looped)
         || not (Ndp_engine.is_for_us t.ndp h.dst) ->
      c.not_for_us <- c.not_for_us + 1
  | Ok h ->
      follow h ~next_header:h.next_header ~again:false { p with data = W.Ipv6.payload h p.data }

let input t ~tcp ~udp ~default b =
  let result = ref Lwt.return_unit in
  let receiver (f : callback) ~src ~dst ~tos:_ (p : W.Packet.t) = result := f ~src ~dst p.data in
  input_packet t ~tcp:(receiver tcp) ~udp:(receiver udp)
    ~default:(fun ~proto -> receiver (default ~proto))
    (W.Packet.v b);
  !result
