(* What an IPv4 layer knows, and its configuration. *)

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
  query : ipaddr -> (Macaddr.t, Outgoing.unresolved) result Lwt.t;
  hop : ipaddr -> unit -> Macaddr.t option;
  confirm_hop : ipaddr -> unit;
}

let resolver_of_arp arp =
  { query = Arp_core.resolve arp; hop = Arp_core.hop arp; confirm_hop = Arp_core.confirm arp }

(* Source, destination, protocol, identification: what tells packets in pieces apart. *)
type key = int * int * int

type t = {
  out : Outgoing.t;
  resolver : resolver;
  ttl : int;
  mutable routes : Routes.t;
  mutable generation : int; (* of [routes]: paths compare it *)
  credible : Credible.t;
  reassembly : key Reassembly.t;
  timer : Timer.t Lazy.t;
  pmtu : ipaddr Pmtu.t;
  ident : Ident.t;
  mutable problems :
    (proto:int -> src:ipaddr -> dst:ipaddr -> Ip_ext.problem -> Cstruct.t -> unit) list;
  mutable mtu_limit : int; (* max_int: the link's *)
  mutable acquiring : bool; (* an address has been asked for *)
  changed : unit Lwt_condition.t; (* of routes, or of [acquiring] *)
}

let counters t = t.out.counters
let header = W.Ipv4.min_header_length

(* Hosts use 552 as the smallest MTU they believe in (as large systems do), well above the 68 of RFC
   791 that would let a forged report turn a bulk transfer into a flood of headers. *)
let minimum_mtu = 552

let create ?(reassembly = Reassembly.default) ?own ?(ttl = 64) link resolver =
  let reassembly = Reassembly.create reassembly in
  let timer =
    let rec timer =
      lazy
        (Timer.create (fun () ->
             Reassembly.tick reassembly ~now:(Env.now ());
             Timer.set (Lazy.force timer) (Reassembly.next reassembly)))
    in
    timer
  in
  {
    out = Outgoing.create ?own link `IPv4 ~header;
    resolver;
    ttl;
    routes = Routes.empty;
    generation = 0;
    credible = Credible.create ();
    reassembly;
    timer;
    pmtu = Pmtu.create ~minimum:minimum_mtu ();
    ident = Ident.create ~random:Env.random;
    problems = [];
    mtu_limit = max_int;
    acquiring = false;
    changed = Lwt_condition.create ();
  }

let disconnect t =
  Timer.stop (Lazy.force t.timer);
  Lwt.return_unit

let routes t = t.routes

let set_routes t routes =
  t.routes <- routes;
  t.generation <- t.generation + 1;
  Lwt_condition.broadcast t.changed ()

let set_acquiring t acquiring =
  t.acquiring <- acquiring;
  Lwt_condition.broadcast t.changed ()

let set_loopback t f = t.out.loopback <- Some f
let configured_ips t = Routes.addresses t.routes
let get_ip t = List.map P.address (configured_ips t)
let on_room t f = t.out.link.on_room f
let flush t = t.out.link.flush ()
let on_problem t f = t.problems <- t.problems @ [ f ]

let tell_problem t ~proto ~src ~dst problem quoted =
  List.iter (fun f -> f ~proto ~src ~dst problem quoted) t.problems

let no_route e = `No_route (Fmt.to_to_string Routes.pp_error e)

let src t ~dst =
  match Routes.lookup t.routes dst with Ok (src, _) -> src | Error _ -> Ipaddr.V4.any

let link_mtu t = Int.min t.mtu_limit (t.out.link.mtu ())
let set_mtu t mtu = t.mtu_limit <- (match mtu with Some n -> max minimum_mtu n | None -> max_int)

let mtu_to t dst =
  if Routes.is_local t.routes dst then W.Ipv4.max_length
  else Pmtu.get t.pmtu ~now:(Env.now ()) dst ~link:(link_mtu t)

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

(* Of packets that may be cut: for others it has no meaning, and is 0 (RFC 6864 section 4.1). *)
let next_id t ~src ~dst =
  Ident.next t.ident ~src:(Ipaddr.V4.to_octets src) ~dst:(Ipaddr.V4.to_octets dst) land 0xffff
