(* What an IPv6 layer knows, its configuration, and the effects of neighbour discovery. *)

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
type waiter = (Macaddr.t, Outgoing.unresolved) result Lwt.u

(* Source, destination, identification, and the header that the content starts with. *)
type key = ipaddr * ipaddr * int * int
type address_event = [ `Ready of ipaddr | `Duplicate of ipaddr | `Expired of ipaddr ]

type t = {
  out : Outgoing.t;
  ndp : waiter Ndp_engine.t;
  ndp_timer : Timer.t Lazy.t;
  reassembly : key Reassembly.t;
  reassembly_timer : Timer.t Lazy.t;
  pmtu : ipaddr Pmtu.t;
  ident : Ident.t;
  mutable problems :
    (proto:int -> src:ipaddr -> dst:ipaddr -> Ip_ext.problem -> Cstruct.t -> unit) list;
  mutable address : (address_event -> unit) list;
  pings : Pings.t;
  errors : Errors.t;
  echoes : Bucket.t;
  neighbourly : Bucket.t; (* messages of neighbour discovery: others provoke most of them *)
  complaints : Thin.t;
  changed : unit Lwt_condition.t;
}

let header = W.Ipv6.header_length
let counters t = t.out.counters
let is_multicast = Ipaddr.V6.is_multicast

(* {1 Neighbour discovery} *)

let emit_header ~src ~dst ~traffic_class ~next_header ~hop_limit ~length b =
  W.Ipv6.emit
    { src; dst; traffic_class; flow_label = 0; next_header; hop_limit; payload_length = length }
    b

let raw_send t mac ~size fill =
  let outcome = Outgoing.send_filled t.out mac ~size fill in
  t.out.link.flush ();
  match outcome with
  | `Sent -> ()
  | `Full | `Too_long | `No_route -> Log.debug (fun m -> m "not sent")

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
  let set_timer () = Timer.set (Lazy.force t.ndp_timer) (Ndp_engine.next t.ndp) in
  Env.each_then (perform t) actions set_timer

and perform t (action : waiter Ndp_engine.action) =
  match action with
  | Send _ when not (Bucket.take t.neighbourly ~now:(Env.now ())) -> ()
  | Send { src; dst; mac = Some mac; message } ->
      (match message with
      | Listener_report { listener; group } -> membership t group (listener <> Leaving)
      | _ -> ());
      raw_send t mac ~size:(ndp_size message) (fill_ndp ~src ~dst message)
  | Send { src; dst; mac = None; message } ->
      Lwt.on_success (query t dst) (function
        | Ok mac -> raw_send t mac ~size:(ndp_size message) (fill_ndp ~src ~dst message)
        | Error (`Timeout | `Overflow) -> ())
  | Transmit { packet; mac } -> Lwt.wakeup_later packet (Ok mac)
  | Unreachable { target; packets } ->
      Log.debug (fun m -> m "no answer from %a" Ipaddr.V6.pp target);
      Env.each (fun u -> Lwt.wakeup_later u (Error `Timeout)) packets
  | Overflow u -> Lwt.wakeup_later u (Error `Overflow)
  | Ready a ->
      Log.info (fun m -> m "%a" Ipaddr.V6.pp a);
      tell t (`Ready a)
  | Duplicate a ->
      Thin.warn t.complaints
        (module Log)
        (fun () -> Fmt.str "%a is used by another station" Ipaddr.V6.pp a);
      tell t (`Duplicate a)
  | Expired a -> tell t (`Expired a)

(* A device that filters has to know the groups as well as routers do. Two addresses may share one. *)
and membership t group join =
  let mac = Ipaddr.V6.multicast_to_mac group in
  if join then (
    t.out.link.join (Ipaddr.V6.multicast_to_mac Ipaddr.V6.link_nodes);
    t.out.link.join mac)
  else if not (Ndp_engine.is_for_us t.ndp group) then t.out.link.leave mac

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

let create ?(reassembly = Reassembly.default) ?own ?(config = Ndp_engine.default) (link : Link.t) =
  let ndp = Ndp_engine.create { config with link_mtu = link.mtu () } link.mac in
  let reassembly = Reassembly.create reassembly in
  let rec reassembly_timer =
    lazy
      (Timer.create (fun () ->
           Reassembly.tick reassembly ~now:(Env.now ());
           Timer.set (Lazy.force reassembly_timer) (Reassembly.next reassembly)))
  in
  let rec t =
    {
      out = Outgoing.create ?own link `IPv6 ~header;
      ndp;
      ndp_timer =
        lazy
          (Timer.create (fun () ->
               perform_all t (Ndp_engine.tick ndp ~now:(Env.now ()));
               (* Also that something will not come any more. *)
               Lwt_condition.broadcast t.changed ()));
      reassembly;
      reassembly_timer;
      pmtu = Pmtu.create ~minimum:1280 ();
      ident = Ident.create ~random:Env.random;
      problems = [];
      address = [];
      pings = Pings.create ();
      errors = Errors.create ();
      echoes = Bucket.create ~rate:1000 ~burst:1000;
      neighbourly = Bucket.create ~rate:1000 ~burst:1000;
      complaints = Thin.create ();
      changed = Lwt_condition.create ();
    }
  in
  t

let start t = perform_all t (Ndp_engine.start t.ndp ~now:(Env.now ()))
let announce_again t = perform_all t (Ndp_engine.announce_again t.ndp ~now:(Env.now ()))
let add_address t cidr = perform_all t (Ndp_engine.add_address t.ndp ~now:(Env.now ()) cidr)

let add_router t router =
  Ndp_engine.add_router t.ndp router;
  Lwt_condition.broadcast t.changed ()

let on_address t f = t.address <- t.address @ [ f ]
let dns t = Ndp_engine.dns t.ndp ~now:(Env.now ())
let set_loopback t f = t.out.loopback <- Some f
let on_room t f = t.out.link.on_room f
let flush t = t.out.link.flush ()
let on_problem t f = t.problems <- t.problems @ [ f ]

let tell_problem t ~proto ~src ~dst problem quoted =
  List.iter (fun f -> f ~proto ~src ~dst problem quoted) t.problems

let disconnect t =
  Timer.stop (Lazy.force t.ndp_timer);
  Timer.stop (Lazy.force t.reassembly_timer);
  Lwt.return_unit

let configured_ips t = Ndp_engine.addresses t.ndp
let get_ip t = List.map P.address (configured_ips t)
let find_source t dst = Ndp_engine.source t.ndp ~now:(Env.now ()) dst
let src t ~dst = Option.value (find_source t dst) ~default:Ipaddr.V6.unspecified
let link_mtu t = Int.min (t.out.link.mtu ()) (Ndp_engine.mtu t.ndp)

let mtu_to t dst =
  if Ndp_engine.is_local t.ndp dst then 0xffff
  else Pmtu.get t.pmtu ~now:(Env.now ()) dst ~link:(link_mtu t)

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
