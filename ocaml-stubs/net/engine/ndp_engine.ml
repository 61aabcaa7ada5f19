open Mirust_wire
module P = Ipaddr.V6.Prefix

type identifiers = Interface_id.t = Modified_eui64 | Stable of string

type config = {
  handle_ra : bool;
  dad_transmits : int;
  optimistic : bool;
  link_mtu : int;
  neighbours : Neighbour.config;
  identifiers : identifiers;
}

let default =
  {
    handle_ra = true;
    dad_transmits = 1;
    optimistic = false;
    link_mtu = 1500;
    neighbours = Neighbour.default;
    identifiers = Modified_eui64;
  }

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

(* RFC 7217 section 7: other identifiers to try for a prefix, and ns until the next one is. *)
let max_again = 3
let again_delay = second

(* How much later an address that another station has is tried again: that station may have gone. *)
let retry_delay = 60 * second

(* The least hop limit that an advertisement can set: a forged one could otherwise keep our packets from reaching
   their destinations (CVE-2015-2922). It is also the recommended default (RFC 1700, and RFC 4861 section 6.3.2 by
   reference). *)
let least_hop_limit = 64

(* Nor may it have us wait longer than this for a neighbour's answer: a lost question would be repeated after up to an
   hour, as long as no router says otherwise, and most say nothing of it. *)
let most_retransmit = 10 * second

type address = {
  cidr : P.t;
  auto : bool;
  made : int; (* the identifier's counter (RFC 7217); -1 for an address that was given *)
  mutable tentative : bool; (* perhaps another station's *)
  mutable probes : int; (* solicitations still to send *)
  mutable at : int; (* of the next step of duplicate detection *)
  mutable preferred : int; (* until when *)
  mutable valid : int;
}

(* An address that turned out to be another's, and when it is tried again. *)
type lost = { was : address; retry_at : int }
type router = { router : Ipaddr.V6.t; mutable until : int }
type on_link = { prefix : P.t; mutable prefix_until : int }

type 'packet t = {
  config : config;
  mac : Macaddr.t;
  mutable addresses : address list;
  mutable lost : lost list;
  mutable routers : router list; (* the first is used *)
  mutable prefixes : on_link list;
  mutable servers : (Ipaddr.V6.t * int) list;
  mutable mtu : int;
  mutable hop_limit : int;
  mutable generation : int;
  mutable solicitations : int; (* router solicitations still to send *)
  mutable solicit_at : int;
  mutable reported : int; (* when a listener query was answered last *)
  neighbours : (Ipaddr.V6.t, 'packet) Neighbour.t;
}

let create (config : config) mac =
  {
    config;
    mac;
    addresses = [];
    lost = [];
    routers = [];
    prefixes = [];
    servers = [];
    mtu = config.link_mtu;
    hop_limit = 64;
    generation = 0;
    solicitations = 0;
    solicit_at = forever;
    reported = min_int;
    neighbours = Neighbour.create config.neighbours;
  }

let same a b = Ipaddr.V6.compare a b = 0
let changed t = t.generation <- t.generation + 1
let generation t = t.generation
let neighbours t = t.neighbours
let mtu t = t.mtu
let hop_limit t = t.hop_limit
let unspecified = Ipaddr.V6.unspecified
let all_nodes = Ipaddr.V6.link_nodes
let all_routers = Ipaddr.V6.link_routers
let all_mldv2_routers = Ipaddr.V6.of_string_exn "ff02::16"
let make_address t prefix ~counter = Interface_id.address t.config.identifiers t.mac prefix ~counter
let link_local_prefix = P.of_string_exn "fe80::/64"

let link_local mac =
  Interface_id.address Modified_eui64 mac (P.network link_local_prefix) ~counter:0

let is_link_local a = P.mem a P.link

let solicited_node a =
  let low = String.sub (Ipaddr.V6.to_octets a) 13 3 in
  Ipaddr.V6.of_octets_exn ("\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff" ^ low)

let address a = P.address a.cidr
let find t a = List.find_opt (fun o -> same (address o) a) t.addresses
let proven t = List.filter (fun a -> not a.tentative) t.addresses

(* Duplicates are rare, so an address is used while it is still being checked (RFC 4429). If another station does have
   it, our packets must not change what others know of that station: so a tentative address sends no solicitations, and
   its advertisements override nothing. *)
let in_use t a = t.config.optimistic || not a.tentative
let usable t = List.filter (in_use t) t.addresses
let addresses t = List.map (fun a -> a.cidr) (usable t)
let localhost = Ipaddr.V6.localhost
let is_own t a = List.exists (fun o -> same (address o) a) (usable t)
let is_local t a = same a localhost || is_own t a

(* IPv4 addresses in IPv6's notation are for programs, and never on a wire (RFC 4291 section 2.5.5.2,
   RFC 4942 section 2.2). *)
let mapped = P.of_string_exn "::ffff:0:0/96"
let is_nowhere a = same a unspecified || P.mem a mapped

(* An address of ours is martian only once it is proven unique: before, its rightful owner may object from it. *)
let is_martian t a =
  Ipaddr.V6.is_multicast a || P.mem a mapped || same a localhost
  || List.exists (fun o -> same (address o) a) (proven t)

let is_for_us t a =
  if Ipaddr.V6.is_multicast a then
    same a all_nodes || same a Ipaddr.V6.interface_nodes
    || List.exists (fun o -> same (solicited_node (address o)) a) t.addresses
  else find t a <> None

let check_host c =
  let a = P.address c in
  let refuse why = Error (Fmt.str "%a cannot be a host's address: %s" P.pp c why) in
  if P.bits c = 0 then refuse "the prefix is everything"
  else if same a unspecified then refuse "it is nobody's"
  else if same a localhost then refuse "it is of the loopback network"
  else if Ipaddr.V6.is_multicast a then refuse "it is a multicast group"
  else if P.mem a mapped then refuse "it stands for one of IPv4"
  else if P.bits c < 127 && same a (P.network c) then refuse "it is that of the network's routers"
  else Ok ()

let check_router own a =
  let refuse why = Error (Fmt.str "%a cannot be the gateway: %s" Ipaddr.V6.pp a why) in
  if List.exists (fun c -> same (P.address c) a) own then refuse "it is our own address"
  else
    match check_host (P.make 128 a) with
    | Ok () -> Ok ()
    | Error why -> Error ("the gateway: " ^ why)

(* {1 Messages} *)

let multicast ~src ~dst message =
  Send { src; dst; mac = Some (Ipaddr.V6.multicast_to_mac dst); message }

let my_link_local t =
  match List.find_opt (fun a -> is_link_local (address a)) (proven t) with
  | Some a -> address a
  | None -> unspecified

let report t listener group =
  multicast ~src:(my_link_local t) ~dst:all_mldv2_routers
    (Icmpv6.Listener_report { listener; group })

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

let on_link t ~now dst =
  is_link_local dst || List.exists (fun p -> p.prefix_until > now && P.mem dst p.prefix) t.prefixes

let best_source ~now ~among dst =
  let wanted = scope dst in
  (* Whether [a] is to be preferred to [b]. *)
  let better a b =
    let sa = scope (address a) and sb = scope (address b) in
    if same (address a) dst then true
    else if same (address b) dst then false
    else if sa <> sb then if sa < sb then sa >= wanted else sb < wanted
    else
      (* One that is not proven counts as deprecated (RFC 4429 section 3.1). *)
      let preferred o = o.preferred > now && not o.tentative in
      let pa = preferred a and pb = preferred b in
      if pa <> pb then pa
      else
        let length o = min (P.bits o.cidr) (common_bits (address o) dst) in
        length a > length b
  in
  let pick best a = match best with Some b when not (better a b) -> best | _ -> Some a in
  Option.map address (List.fold_left pick None among)

(* No router passes on what comes from a link-local address (RFC 4291 section 2.5.6). *)
let source_among t ~now ~among dst =
  if same dst localhost then Some localhost
  else
    match best_source ~now ~among dst with
    | Some a when scope a >= scope dst || Ipaddr.V6.is_multicast dst || on_link t ~now dst -> Some a
    | Some _ | None -> None

let source t ~now dst = source_among t ~now ~among:(usable t) dst

type next_hop = Link of Ipaddr.V6.t | Multicast of Macaddr.t | Local | No_route

let next_hop t ~now dst =
  if is_nowhere dst then No_route
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

let asks_for_routers t a = is_link_local (address a) && t.config.handle_ra && t.routers = []

let become_ready t a ~now =
  let was_first = same (my_link_local t) unspecified in
  a.tentative <- false;
  a.at <- forever;
  changed t;
  (* The reports sent while there was no link-local address may have been dropped by snooping switches
     that want one as the source (RFC 3810 section 5.2.13 allows it only then): repeat them. *)
  let reports =
    if was_first && is_link_local (address a) then
      List.map (fun o -> report t Joining (solicited_node (address o))) t.addresses
    else []
  in
  let routers =
    (* Those of an address that was used before it was proven are asked since then. *)
    if (not t.config.optimistic) && asks_for_routers t a then [ solicit_routers t ~now ] else []
  in
  let ready = if t.config.optimistic then [] else [ Ready (address a) ] in
  ready @ reports @ routers

let probe_next t a ~now =
  if a.probes > 0 then (
    a.probes <- a.probes - 1;
    a.at <- now + (Neighbour.config t.neighbours).retransmit;
    [ probe a ])
  else become_ready t a ~now

let new_address t ~now ?(delay = 0) ~auto ~made ~preferred ~valid cidr =
  let a =
    {
      cidr;
      auto;
      made;
      tentative = true;
      probes = t.config.dad_transmits;
      at = forever;
      preferred;
      valid;
    }
  in
  t.addresses <- t.addresses @ [ a ];
  let join = report t Joining (solicited_node (address a)) in
  let used =
    if not t.config.optimistic then []
    else (
      changed t;
      Ready (address a) :: (if asks_for_routers t a then [ solicit_routers t ~now ] else []))
  in
  if delay = 0 then (join :: probe_next t a ~now) @ used
  else (
    a.at <- now + delay;
    join :: used)

let drop t a =
  t.addresses <- List.filter (fun o -> o != a) t.addresses;
  changed t

let remove_address t ip =
  t.lost <- List.filter (fun l -> not (same (address l.was) ip)) t.lost;
  Option.iter (drop t) (find t ip)

let add_address t ~now cidr =
  let ip = P.address cidr in
  match find t ip with
  | Some _ -> []
  | None ->
      if P.bits cidr < 128 then add_prefix t (P.prefix cidr) forever;
      changed t;
      new_address t ~now ~auto:false ~made:(-1) ~preferred:forever ~valid:forever cidr

let add_router t router =
  t.routers <- t.routers @ [ { router; until = forever } ];
  changed t

let start t ~now =
  let ip = make_address t (P.network link_local_prefix) ~counter:0 in
  match find t ip with
  | Some _ -> []
  | None ->
      add_prefix t link_local_prefix forever;
      changed t;
      new_address t ~now ~auto:false ~made:0 ~preferred:forever ~valid:forever (P.make 64 ip)

(* Whether what is missing now may be there in a moment. *)
let acquiring t dst =
  (not (is_nowhere dst))
  && (List.exists (fun a -> not (in_use t a)) t.addresses
     || (t.solicit_at <> forever && (not (is_link_local dst)) && not (Ipaddr.V6.is_multicast dst)))

(* {1 Neighbours} *)

let of_neighbour t (a : _ Neighbour.action) =
  match a with
  | Solicit { target; unicast } -> (
      match (source_among t ~now:0 ~among:(proven t) target, t.addresses) with
      (* The next question, in a second, has a source that is proven. *)
      | None, _ :: _ when t.config.optimistic -> None
      | source, _ -> (
          let src = Option.value source ~default:unspecified in
          let options = if same src unspecified then Icmpv6.no_options else source_option t in
          let message = Icmpv6.Neighbour_solicitation { target; options } in
          match unicast with
          | Some _ -> Some (Send { src; dst = target; mac = unicast; message })
          | None -> Some (multicast ~src ~dst:(solicited_node target) message)))
  | Transmit { packet; mac } -> Some (Transmit { packet; mac })
  | Overflow packet -> Some (Overflow packet)
  | Unreachable { target; packets } ->
      (* Another router, if there is one, may do better. *)
      (match List.partition (fun r -> same r.router target) t.routers with
      | [], _ -> ()
      | dead, others ->
          t.routers <- others @ dead;
          changed t);
      Some (Unreachable { target; packets })

let of_neighbours t = List.filter_map (of_neighbour t)
let send t ~now target packet = of_neighbours t (Neighbour.send t.neighbours ~now target packet)

(* {1 Input} *)

let heard t ~now src = function
  | Some mac when not (same src unspecified) ->
      of_neighbours t (Neighbour.heard t.neighbours ~now src mac)
  | Some _ | None -> []

let advertisement t ~solicited target =
  let is_proven = List.exists (fun o -> same (address o) target) (proven t) in
  Icmpv6.Neighbour_advertisement
    {
      router = false;
      solicited;
      override = is_proven;
      target;
      options = { Icmpv6.no_options with target_link = Some t.mac };
    }

let announce_again t ~now =
  Neighbour.doubt t.neighbours ~now;
  (* Perhaps another network: addresses that no router advertises again are used only if there is no other. *)
  List.iter (fun a -> if a.auto then a.preferred <- min a.preferred now) t.addresses;
  changed t;
  let announce a =
    let ip = address a in
    [
      report t Joining (solicited_node ip);
      multicast ~src:ip ~dst:all_nodes (advertisement t ~solicited:false ip);
    ]
  in
  let routers = if t.config.handle_ra && usable t <> [] then [ solicit_routers t ~now ] else [] in
  List.concat_map announce (proven t) @ routers

(* Tries the next identifier for the prefix, if there is one. Otherwise the same address is tried again after a while,
   repeatedly: a configured address cannot be replaced, and if all identifiers are used up, a hostile neighbour has
   claimed them, which may disappear. *)
let duplicate t ~now a =
  drop t a;
  let again =
    match t.config.identifiers with
    | Stable _ when a.made >= 0 && a.made < max_again ->
        let made = a.made + 1 in
        let ip = make_address t (P.network (P.prefix a.cidr)) ~counter:made in
        new_address t ~now ~delay:again_delay ~auto:a.auto ~made ~preferred:a.preferred
          ~valid:a.valid
          (P.make (P.bits a.cidr) ip)
    | Stable _ | Modified_eui64 ->
        t.lost <- { was = a; retry_at = now + retry_delay } :: t.lost;
        []
  in
  report t Leaving (solicited_node (address a)) :: Duplicate (address a) :: again

let try_again t ~now { was = a; _ } =
  if a.valid <= now || find t (address a) <> None then []
  else new_address t ~now ~auto:a.auto ~made:a.made ~preferred:a.preferred ~valid:a.valid a.cidr

let solicited t ~now ~src target (options : Icmpv6.options) =
  match find t target with
  | None -> []
  | Some ({ tentative = true; _ } as a) when same src unspecified ->
      (* Another station is asking the same as we are. *)
      duplicate t ~now a
  (* A question that we must not answer yet. *)
  | Some a when not (in_use t a) -> []
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

(* One that was configured stays. *)
let no_router t a =
  let goes r = r.until <> forever && same r.router a in
  if List.exists goes t.routers then (
    t.routers <- List.filter (fun r -> not (goes r)) t.routers;
    changed t)

let advertised t ~now target ~router ~solicited ~override (options : Icmpv6.options) =
  match find t target with
  | Some ({ tentative = true; _ } as a) -> duplicate t ~now a
  | Some _ ->
      (* Someone else claims an address in use: it is kept (RFC 4862 section 5.4 is over for it). *)
      []
  | None ->
      let mac = options.target_link in
      let known = Neighbour.mac (Neighbour.find t.neighbours target) in
      let contradicts = Option.fold ~none:false ~some:(fun m -> Macaddr.compare m known <> 0) mac in
      (* Nothing is sent there any more to be passed on (RFC 4861 section 7.2.5). *)
      if (override || not contradicts) && not router then no_router t target;
      of_neighbours t (Neighbour.advertised t.neighbours ~now target ~mac ~solicited ~override)

let until ~now seconds = if seconds = 0xffffffff then forever else now + (seconds * second)

(* RFC 4862 section 5.5.3. *)
let autoconfigure t ~now (p : Icmpv6.prefix) =
  let network = P.network p.prefix in
  let made_of_it a = a.auto && same (P.network (P.prefix a.cidr)) network in
  match List.find_opt made_of_it t.addresses with
  | Some a ->
      a.preferred <- until ~now p.preferred;
      let two_hours = now + (7200 * second) in
      let valid = until ~now p.valid in
      (* An advertisement can only shorten the life of an address to two hours: so a forged one does
         little harm. *)
      if valid > two_hours || valid > a.valid then a.valid <- valid
      else if a.valid > two_hours then a.valid <- two_hours;
      []
  | None when List.exists (fun l -> made_of_it l.was) t.lost -> []
  | None ->
      let ip = make_address t network ~counter:0 in
      (* Lost addresses count too: an attacker that advertises prefixes can also claim each address made from them. *)
      let auto =
        List.length (List.filter (fun a -> a.auto) t.addresses)
        + List.length (List.filter (fun l -> l.was.auto) t.lost)
      in
      if p.valid = 0 || auto >= max_auto || find t ip <> None then []
      else
        new_address t ~now ~auto:true ~made:0 ~preferred:(until ~now p.preferred)
          ~valid:(until ~now p.valid) (P.make 64 ip)

let prefix_advertised t ~now (p : Icmpv6.prefix) =
  if is_link_local (P.network p.prefix) || Ipaddr.V6.is_multicast (P.network p.prefix) then []
  else
    (* A router cannot end the prefix of a configured address. *)
    let is_given a = (not a.auto) && P.compare (P.prefix a.cidr) (P.prefix p.prefix) = 0 in
    if p.on_link && not (List.exists is_given t.addresses) then
      add_prefix t (P.prefix p.prefix) (until ~now p.valid);
    if p.autonomous && P.bits p.prefix = 64 && p.preferred <= p.valid then autoconfigure t ~now p
    else []

(* A router that answers is there; after the link was away, nothing is known of the others. *)
let prefer_router t src =
  let given, others = List.partition (fun o -> o.until = forever) t.routers in
  let answered, others = List.partition (fun o -> same o.router src) others in
  t.routers <- given @ answered @ others

let router_advertised t ~now ~src (r : Icmpv6.router_advertisement) =
  let asked = t.solicit_at <> forever in
  t.solicitations <- 0;
  t.solicit_at <- forever;
  if r.hop_limit > 0 then t.hop_limit <- max least_hop_limit r.hop_limit;
  let config = Neighbour.config t.neighbours in
  let ms n default = if n = 0 || n > 3_600_000 then default else n * 1_000_000 in
  Neighbour.set_config t.neighbours
    {
      config with
      (* Shorter ones would have us ask our neighbours all the time. *)
      reachable = max second (ms r.reachable config.reachable);
      retransmit = max 100_000_000 (min most_retransmit (ms r.retransmit config.retransmit));
    };
  (match List.find_opt (fun o -> same o.router src) t.routers with
  | _ when r.lifetime = 0 -> no_router t src
  | Some o -> if o.until <> forever then o.until <- now + (r.lifetime * second)
  | None ->
      if List.length t.routers < max_routers then
        t.routers <- t.routers @ [ { router = src; until = now + (r.lifetime * second) } ]);
  if asked then prefer_router t src;
  (match r.options.mtu with
  | Some mtu when mtu >= 1280 && mtu <= t.config.link_mtu -> t.mtu <- mtu
  | Some _ | None -> ());
  let is_host a = Result.is_ok (check_host (P.make 128 a)) in
  let server (lifetime, addresses) =
    let addresses = List.filter is_host addresses in
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
    List.map (report t Listening) (List.filter wanted (List.sort_uniq Ipaddr.V6.compare groups)))

let input t ~now ~src ~dst ~hop_limit (message : Icmpv6.t) =
  if hop_limit <> if Icmpv6.is_ndp message then 255 else 1 then []
  else
    match message with
    | Listener_query { group } -> queried t ~now ~src group
    | Neighbour_solicitation { target; options } ->
        (* A solicitation from nowhere is duplicate detection, and goes to the target's group, without a link address
           (RFC 4861 section 7.1.1). *)
        let fits = same dst (solicited_node target) && options.source_link = None in
        if same src unspecified && not fits then [] else solicited t ~now ~src target options
    | Neighbour_advertisement { router; solicited; override; target; options } ->
        if solicited && Ipaddr.V6.is_multicast dst then []
        else advertised t ~now target ~router ~solicited ~override options
    | Router_advertisement r ->
        if t.config.handle_ra && is_link_local src then router_advertised t ~now ~src r else []
    | Redirect _ | Router_solicitation _ | Unreachable _ | Packet_too_big _ | Time_exceeded _
    | Parameter_problem _ | Echo_request _ | Echo_reply _ | Listener_report _ ->
        []

(* {1 Time} *)

let next t =
  let at = t.solicit_at in
  let at = List.fold_left (fun at a -> min at (min a.at a.valid)) at t.addresses in
  let at = List.fold_left (fun at r -> min at r.until) at t.routers in
  let at = List.fold_left (fun at p -> min at p.prefix_until) at t.prefixes in
  let at = List.fold_left (fun at l -> min at l.retry_at) at t.lost in
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
    else if t.solicitations = 0 then (
      (* The last question had as much time to be answered as the others. *)
      t.solicit_at <- forever;
      [])
    else (
      t.solicitations <- t.solicitations - 1;
      t.solicit_at <- now + (4 * second);
      [ router_solicitation t ])
  in
  let due, later = List.partition (fun l -> l.retry_at <= now) t.lost in
  t.lost <- later;
  let again = List.concat_map (try_again t ~now) due in
  gone @ dad @ again @ solicit @ of_neighbours t (Neighbour.tick t.neighbours ~now)
