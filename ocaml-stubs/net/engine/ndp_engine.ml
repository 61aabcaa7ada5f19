open Mirust_wire
module P = Ipaddr.V6.Prefix

type config = {
  handle_ra : bool;
  dad_transmits : int;
  link_mtu : int;
  neighbours : Neighbour.config;
}

let default =
  { handle_ra = true; dad_transmits = 1; link_mtu = 1500; neighbours = Neighbour.default }

type 'packet action =
  | Send of { src : Ipaddr.V6.t; dst : Ipaddr.V6.t; mac : Macaddr.t option; message : Icmpv6.t }
  | Transmit of { packet : 'packet; mac : Macaddr.t }
  | Unreachable of { target : Ipaddr.V6.t; packets : 'packet list }
  | Overflow of 'packet
  | Ready of Ipaddr.V6.t
  | Duplicate of Ipaddr.V6.t
  | Expired of Ipaddr.V6.t

let second = 1_000_000_000
let forever = max_int

(* Bounds on what advertisements can make us remember. *)
let max_routers = 8
let max_prefixes = 16
let max_auto = 16
let max_dns = 8

type address = {
  cidr : P.t;
  auto : bool;
  mutable tentative : bool;
  mutable probes : int; (* solicitations still to send *)
  mutable at : int; (* of the next step of duplicate detection *)
  mutable preferred : int; (* until when *)
  mutable valid : int;
}

type router = { router : Ipaddr.V6.t; mutable until : int }
type on_link = { prefix : P.t; mutable prefix_until : int }

type 'packet t = {
  config : config;
  mac : Macaddr.t;
  mutable addresses : address list;
  mutable routers : router list; (* the first is used *)
  mutable prefixes : on_link list;
  mutable servers : (Ipaddr.V6.t * int) list;
  mutable mtu : int;
  mutable hop_limit : int;
  mutable generation : int;
  mutable solicitations : int; (* router solicitations still to send *)
  mutable solicit_at : int;
  mutable redirects : int;
  mutable reported : int; (* when a listener query was answered last *)
  neighbours : (Ipaddr.V6.t, 'packet) Neighbour.t;
}

let create (config : config) mac =
  {
    config;
    mac;
    addresses = [];
    routers = [];
    prefixes = [];
    servers = [];
    mtu = config.link_mtu;
    hop_limit = 64;
    generation = 0;
    solicitations = 0;
    solicit_at = forever;
    redirects = 0;
    reported = min_int;
    neighbours = Neighbour.create config.neighbours;
  }

let same a b = Ipaddr.V6.compare a b = 0
let changed t = t.generation <- t.generation + 1
let generation t = t.generation
let neighbours t = t.neighbours
let mtu t = t.mtu
let hop_limit t = t.hop_limit
let redirects_ignored t = t.redirects
let unspecified = Ipaddr.V6.unspecified
let all_nodes = Ipaddr.V6.link_nodes
let all_routers = Ipaddr.V6.link_routers
let all_mldv2_routers = Ipaddr.V6.of_string_exn "ff02::16"

(* The modified EUI-64 of RFC 4291 appendix A. *)
let interface_id mac =
  let m = Macaddr.to_octets mac in
  let first = Char.chr (Char.code m.[0] lxor 2) in
  String.concat "" [ String.make 1 first; String.sub m 1 2; "\xff\xfe"; String.sub m 3 3 ]

let with_interface_id prefix mac =
  let octets = Ipaddr.V6.to_octets prefix in
  Ipaddr.V6.of_octets_exn (String.sub octets 0 8 ^ interface_id mac)

let link_local_prefix = P.of_string_exn "fe80::/64"
let link_local mac = with_interface_id (P.network link_local_prefix) mac
let is_link_local a = P.mem a P.link

let solicited_node a =
  let low = String.sub (Ipaddr.V6.to_octets a) 13 3 in
  Ipaddr.V6.of_octets_exn ("\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff" ^ low)

let address a = P.address a.cidr
let find t a = List.find_opt (fun o -> same (address o) a) t.addresses
let usable t = List.filter (fun a -> not a.tentative) t.addresses
let addresses t = List.map (fun a -> a.cidr) (usable t)
let is_local t a = List.exists (fun o -> (not o.tentative) && same (address o) a) t.addresses

let is_for_us t a =
  if Ipaddr.V6.is_multicast a then
    same a all_nodes || same a Ipaddr.V6.interface_nodes
    || List.exists (fun o -> same (solicited_node (address o)) a) t.addresses
  else find t a <> None

(* {1 Messages} *)

let multicast ~src ~dst message =
  Send { src; dst; mac = Some (Ipaddr.V6.multicast_to_mac dst); message }

let my_link_local t =
  match List.find_opt (fun a -> is_link_local (address a)) (usable t) with
  | Some a -> address a
  | None -> unspecified

let report t ~join group =
  multicast ~src:(my_link_local t) ~dst:all_mldv2_routers (Icmpv6.Listener_report { join; group })

let source_option t = { Icmpv6.no_options with source_link = Some t.mac }

let router_solicitation t =
  let src = my_link_local t in
  (* No source option without a source address (RFC 4861 section 4.1). *)
  let options = if same src unspecified then Icmpv6.no_options else source_option t in
  multicast ~src ~dst:all_routers (Router_solicitation options)

let probe a =
  let target = address a in
  multicast ~src:unspecified ~dst:(solicited_node target)
    (Neighbour_solicitation { target; options = Icmpv6.no_options })

(* {1 Sources and next hops} *)

(* The scopes of RFC 6724 section 3.1, for those that occur. *)
let scope a =
  if Ipaddr.V6.is_multicast a then Char.code (Ipaddr.V6.to_octets a).[1] land 15
  else if is_link_local a || same a Ipaddr.V6.localhost then 2
  else 14

let common_bits a b =
  let a = Ipaddr.V6.to_octets a and b = Ipaddr.V6.to_octets b in
  let rec bit i =
    if i = 128 then 128
    else
      let mask = 0x80 lsr (i land 7) in
      if Char.code a.[i / 8] lxor Char.code b.[i / 8] land mask <> 0 then i else bit (i + 1)
  in
  bit 0

let source t ~now dst =
  let wanted = scope dst in
  (* Whether [a] is to be preferred to [b]. *)
  let better a b =
    let sa = scope (address a) and sb = scope (address b) in
    if same (address a) dst then true
    else if same (address b) dst then false
    else if sa <> sb then if sa < sb then sa >= wanted else sb < wanted
    else
      let pa = a.preferred > now and pb = b.preferred > now in
      if pa <> pb then pa
      else
        let length o = min (P.bits o.cidr) (common_bits (address o) dst) in
        length a > length b
  in
  let pick best a = match best with Some b when not (better a b) -> best | _ -> Some a in
  Option.map address (List.fold_left pick None (usable t))

type next_hop = Link of Ipaddr.V6.t | Multicast of Macaddr.t | Local | No_route

let on_link t ~now dst =
  is_link_local dst || List.exists (fun p -> p.prefix_until > now && P.mem dst p.prefix) t.prefixes

let next_hop t ~now dst =
  if same dst unspecified then No_route
  else if Ipaddr.V6.is_multicast dst then Multicast (Ipaddr.V6.multicast_to_mac dst)
  else if is_local t dst then Local
  else if on_link t ~now dst then Link dst
  else
    match List.find_opt (fun r -> r.until > now) t.routers with
    | Some r -> Link r.router
    | None -> No_route

let dns t ~now = List.filter_map (fun (a, until) -> if until > now then Some a else None) t.servers

(* {1 Addresses} *)

let add_prefix t prefix until =
  match List.find_opt (fun p -> P.compare p.prefix prefix = 0) t.prefixes with
  | Some p -> p.prefix_until <- until
  | None ->
      if List.length t.prefixes < max_prefixes then
        t.prefixes <- t.prefixes @ [ { prefix; prefix_until = until } ]

let solicit_routers t ~now =
  t.solicitations <- 2;
  t.solicit_at <- now + (4 * second);
  router_solicitation t

let become_ready t a ~now =
  let was_first = same (my_link_local t) unspecified in
  a.tentative <- false;
  a.at <- forever;
  changed t;
  (* The reports sent while there was no link-local address may have been dropped by snooping switches
     that want one as the source (RFC 3810 section 5.2.13 allows it only then): repeat them. *)
  let reports =
    if was_first && is_link_local (address a) then
      List.map (fun o -> report t ~join:true (solicited_node (address o))) t.addresses
    else []
  in
  let routers =
    if is_link_local (address a) && t.config.handle_ra && t.routers = [] then
      [ solicit_routers t ~now ]
    else []
  in
  (Ready (address a) :: reports) @ routers

let probe_next t a ~now =
  if a.probes > 0 then (
    a.probes <- a.probes - 1;
    a.at <- now + (Neighbour.config t.neighbours).retransmit;
    [ probe a ])
  else become_ready t a ~now

let new_address t ~now ~auto ~preferred ~valid cidr =
  let a =
    {
      cidr;
      auto;
      tentative = true;
      probes = t.config.dad_transmits;
      at = forever;
      preferred;
      valid;
    }
  in
  t.addresses <- t.addresses @ [ a ];
  report t ~join:true (solicited_node (address a)) :: probe_next t a ~now

let drop t a =
  t.addresses <- List.filter (fun o -> o != a) t.addresses;
  changed t

let remove_address t ip = Option.iter (drop t) (find t ip)

let add_address t ~now cidr =
  let ip = P.address cidr in
  match find t ip with
  | Some _ -> []
  | None ->
      if P.bits cidr < 128 then add_prefix t (P.prefix cidr) forever;
      changed t;
      new_address t ~now ~auto:false ~preferred:forever ~valid:forever cidr

let add_router t router =
  t.routers <- t.routers @ [ { router; until = forever } ];
  changed t

let start t ~now = add_address t ~now (P.make 64 (link_local t.mac))

(* {1 Neighbours} *)

let of_neighbour t (a : _ Neighbour.action) =
  match a with
  | Solicit { target; unicast } -> (
      let src = match source t ~now:0 target with Some a -> a | None -> unspecified in
      let options = if same src unspecified then Icmpv6.no_options else source_option t in
      let message = Icmpv6.Neighbour_solicitation { target; options } in
      match unicast with
      | Some _ -> Send { src; dst = target; mac = unicast; message }
      | None -> multicast ~src ~dst:(solicited_node target) message)
  | Transmit { packet; mac } -> Transmit { packet; mac }
  | Overflow packet -> Overflow packet
  | Unreachable { target; packets } ->
      (* Another router, if there is one, may do better. *)
      (match List.partition (fun r -> same r.router target) t.routers with
      | [], _ -> ()
      | dead, others -> t.routers <- others @ dead);
      changed t;
      Unreachable { target; packets }

let of_neighbours t = List.map (of_neighbour t)
let send t ~now target packet = of_neighbours t (Neighbour.send t.neighbours ~now target packet)

(* {1 Input} *)

let heard t ~now src = function
  | Some mac when not (same src unspecified) ->
      of_neighbours t (Neighbour.heard t.neighbours ~now src mac)
  | Some _ | None -> []

let advertisement t ~solicited target =
  Icmpv6.Neighbour_advertisement
    {
      router = false;
      solicited;
      override = true;
      target;
      options = { Icmpv6.no_options with target_link = Some t.mac };
    }

let announce_again t ~now =
  let announce a =
    let ip = address a in
    [
      report t ~join:true (solicited_node ip);
      multicast ~src:ip ~dst:all_nodes (advertisement t ~solicited:false ip);
    ]
  in
  let routers = if t.config.handle_ra && usable t <> [] then [ solicit_routers t ~now ] else [] in
  List.concat_map announce (usable t) @ routers

let duplicate t a =
  drop t a;
  [ report t ~join:false (solicited_node (address a)); Duplicate (address a) ]

let solicited t ~now ~src target (options : Icmpv6.options) =
  match find t target with
  | None -> []
  | Some ({ tentative = true; _ } as a) ->
      (* From the unspecified address: another station is asking the same as we are. From any other,
         it is a question that we must not answer yet. *)
      if same src unspecified then duplicate t a else []
  | Some _ when same src unspecified ->
      [ multicast ~src:target ~dst:all_nodes (advertisement t ~solicited:false target) ]
  | Some _ ->
      let learnt = heard t ~now src options.source_link in
      learnt
      @ [
          Send
            {
              src = target;
              dst = src;
              mac = options.source_link;
              message = advertisement t ~solicited:true target;
            };
        ]

let advertised t ~now target ~solicited ~override (options : Icmpv6.options) =
  match find t target with
  | Some ({ tentative = true; _ } as a) -> duplicate t a
  | Some _ ->
      (* Someone else claims an address in use: it is kept (RFC 4862 section 5.4 is over for it). *)
      []
  | None ->
      of_neighbours t
        (Neighbour.advertised t.neighbours ~now target ~mac:options.target_link ~solicited ~override)

let until ~now seconds = if seconds = 0xffffffff then forever else now + (seconds * second)

(* RFC 4862 section 5.5.3. *)
let autoconfigure t ~now (p : Icmpv6.prefix) =
  let ip = with_interface_id (P.network p.prefix) t.mac in
  match find t ip with
  | Some a when a.auto ->
      a.preferred <- until ~now p.preferred;
      let two_hours = now + (7200 * second) in
      let valid = until ~now p.valid in
      (* An advertisement can only shorten the life of an address to two hours: so a forged one does
         little harm. *)
      if valid > two_hours || valid > a.valid then a.valid <- valid
      else if a.valid > two_hours then a.valid <- two_hours;
      []
  | Some _ -> []
  | None ->
      let auto = List.filter (fun a -> a.auto) t.addresses in
      if p.valid = 0 || List.length auto >= max_auto then []
      else
        new_address t ~now ~auto:true ~preferred:(until ~now p.preferred)
          ~valid:(until ~now p.valid) (P.make 64 ip)

let prefix_advertised t ~now (p : Icmpv6.prefix) =
  if is_link_local (P.network p.prefix) || Ipaddr.V6.is_multicast (P.network p.prefix) then []
  else (
    if p.on_link then add_prefix t (P.prefix p.prefix) (until ~now p.valid);
    if p.autonomous && P.bits p.prefix = 64 && p.preferred <= p.valid then autoconfigure t ~now p
    else [])

let router_advertised t ~now ~src (r : Icmpv6.router_advertisement) =
  t.solicitations <- 0;
  t.solicit_at <- forever;
  if r.hop_limit > 0 then t.hop_limit <- r.hop_limit;
  let config = Neighbour.config t.neighbours in
  let ms n default = if n = 0 || n > 3_600_000 then default else n * 1_000_000 in
  Neighbour.set_config t.neighbours
    {
      config with
      reachable = ms r.reachable config.reachable;
      retransmit = max 100_000_000 (ms r.retransmit config.retransmit);
    };
  (match List.find_opt (fun o -> same o.router src) t.routers with
  | Some o when r.lifetime = 0 && o.until <> forever ->
      t.routers <- List.filter (fun x -> x != o) t.routers
  | Some o -> if o.until <> forever then o.until <- now + (r.lifetime * second)
  | None ->
      if r.lifetime > 0 && List.length t.routers < max_routers then
        t.routers <- t.routers @ [ { router = src; until = now + (r.lifetime * second) } ]);
  (match r.options.mtu with
  | Some mtu when mtu >= 1280 && mtu <= t.config.link_mtu -> t.mtu <- mtu
  | Some _ | None -> ());
  let server (lifetime, addresses) =
    let others = List.filter (fun (a, _) -> not (List.exists (same a) addresses)) t.servers in
    let now_on = List.map (fun a -> (a, until ~now lifetime)) addresses in
    let now_on = if lifetime = 0 then [] else now_on in
    t.servers <- List.filteri (fun i _ -> i < max_dns) (now_on @ others)
  in
  List.iter server r.options.dns;
  changed t;
  let learnt = heard t ~now src r.options.source_link in
  learnt @ List.concat_map (prefix_advertised t ~now) r.options.prefixes

(* Switches that watch listener reports forget a group that is not reported again when they ask. The
   answer comes at once rather than after a random time: a host like this has two or three groups. *)
let queried t ~now ~src group =
  if (not (is_link_local src)) || t.reported > now - second then []
  else (
    t.reported <- now;
    let groups = List.map (fun a -> solicited_node (address a)) t.addresses in
    let wanted g = same group unspecified || same group g in
    List.map (report t ~join:true) (List.filter wanted (List.sort_uniq Ipaddr.V6.compare groups)))

let input t ~now ~src ~dst ~hop_limit (message : Icmpv6.t) =
  if hop_limit <> if Icmpv6.is_ndp message then 255 else 1 then []
  else
    match message with
    | Listener_query { group } -> queried t ~now ~src group
    | Neighbour_solicitation { target; options } ->
        (* A solicitation from nowhere is duplicate detection, and goes to the target's group. *)
        if same src unspecified && not (same dst (solicited_node target)) then []
        else solicited t ~now ~src target options
    | Neighbour_advertisement { solicited; override; target; options; router = _ } ->
        if solicited && Ipaddr.V6.is_multicast dst then []
        else advertised t ~now target ~solicited ~override options
    | Router_advertisement r ->
        if t.config.handle_ra && is_link_local src then router_advertised t ~now ~src r else []
    | Redirect _ ->
        t.redirects <- t.redirects + 1;
        []
    | Router_solicitation _ | Unreachable _ | Packet_too_big _ | Time_exceeded _
    | Parameter_problem _ | Echo_request _ | Echo_reply _ | Listener_report _ ->
        []

(* {1 Time} *)

let next t =
  let at = t.solicit_at in
  let at = List.fold_left (fun at a -> min at (min a.at a.valid)) at t.addresses in
  let at = List.fold_left (fun at r -> min at r.until) at t.routers in
  let at = List.fold_left (fun at p -> min at p.prefix_until) at t.prefixes in
  let at = match Neighbour.next t.neighbours with Some n -> min n at | None -> at in
  if at = forever then None else Some at

let tick t ~now =
  let expired, rest = List.partition (fun a -> a.valid <= now) t.addresses in
  t.addresses <- rest;
  let routers = List.filter (fun r -> r.until > now) t.routers in
  let prefixes = List.filter (fun p -> p.prefix_until > now) t.prefixes in
  if
    expired <> []
    || List.compare_lengths routers t.routers <> 0
    || List.compare_lengths prefixes t.prefixes <> 0
  then changed t;
  t.routers <- routers;
  t.prefixes <- prefixes;
  let gone = List.map (fun a -> Expired (address a)) expired in
  let due = List.filter (fun a -> a.at <= now) t.addresses in
  let dad = List.concat_map (fun a -> probe_next t a ~now) due in
  let solicit =
    if t.solicit_at > now then []
    else (
      t.solicitations <- t.solicitations - 1;
      t.solicit_at <- (if t.solicitations > 0 then now + (4 * second) else forever);
      [ router_solicitation t ])
  in
  gone @ dad @ solicit @ of_neighbours t (Neighbour.tick t.neighbours ~now)
