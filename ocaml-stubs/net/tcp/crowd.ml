open Tcb

type t = {
  env : env;
  table : Table.t;
  places : place Queue.t; (* some may have gone *)
  hosts : Hosts.t; (* of connections that were accepted *)
}

let create env table ~secret =
  { env; table; places = Queue.create (); hosts = Hosts.create ~secret }

let count t = Table.length t.table + Waiting.length t.env.resting

(* {1 Coming and going} *)

let count_stuck t place octets =
  t.env.stuck_octets <- t.env.stuck_octets - place.stuck + octets;
  place.stuck <- octets

(* Closed connections are removed from the queue once it is twice as long as the table. *)
let enter t c =
  if Queue.length t.places > 64 + (2 * Table.length t.table) then (
    let live = Queue.create () in
    Queue.iter (fun place -> if Option.is_some place.who then Queue.push place live) t.places;
    Queue.clear t.places;
    Queue.transfer live t.places);
  c.place <-
    {
      who = Some c;
      moved = 0;
      since = t.env.now;
      held = 0;
      released = 0;
      stuck_since = t.env.now;
      stuck = 0;
      host = no_host;
      older = no_place;
      newer = no_place;
    };
  (* In this order, because every connection in the table must have a place even if memory runs out here. *)
  Queue.push c.place t.places;
  Table.add t.table c

let accept t (c : Tcb.t) = Hosts.add t.hosts c.place c.remote

let leave t (c : Tcb.t) =
  if c.place != no_place then (
    count_stuck t c.place 0;
    Hosts.remove t.hosts c.place;
    c.place.who <- None;
    c.place <- no_place)

(* {1 Too many connections} *)

let patience ~holds ~moved =
  let rec doublings n = if n = 0 then 0 else 1 + doublings (n lsr 1) in
  if holds then 3 * second else (1 + doublings moved) * second

(* How many connections are examined for each newcomer, which bounds the work. *)
let looked_at = 32

(* Idle connections must not keep newcomers out. Of the next few in the queue, the one that has exhausted most of
   its patience is evicted; the others go to the end of the queue, so that every connection is examined in turn.
   Progress is counted in octets, not in segments, because it costs a peer nothing to answer a window probe. A client
   between two requests holds nothing and has moved something, so it has a long patience. *)
let look t place (c : Tcb.t) =
  let moved = c.octets_received + c.octets_acked in
  if moved <> place.moved then (
    place.moved <- moved;
    place.since <- t.env.now)

let holds (c : Tcb.t) =
  not (Flight.is_empty c.flight && Octets.is_empty c.unsent && Octets.is_empty c.received)

(* How much of the patience with it is used up, in thousandths. *)
let tried t place c =
  let patience = patience ~holds:(holds c) ~moved:place.moved in
  (t.env.now - place.since) / (patience / 1000)

let make_way t c =
  try
    Output.reset t.env c;
    finish t.env c `Aborted;
    t.env.stats.evicted <- t.env.stats.evicted + 1
  with Out_of_memory as e ->
    lose t.env c;
    raise e

(* Calls [f] for some that are next in turn. *)
let in_turn t f =
  for _ = 1 to min looked_at (Queue.length t.places) do
    let place = Queue.peek t.places in
    (match place.who with
    | None | Some { state = Closed | Time_wait; _ } -> count_stuck t place 0
    | Some c ->
        f place c;
        Queue.push place t.places);
    (* Popped last, so that it is still the first if memory runs out before. *)
    ignore (Queue.pop t.places : place)
  done

(* A peer that moves an octet on each of its connections now and then never exhausts its patience, so one host, or the
   hosts of one network, could take all places. Therefore the network with the most connections gives up one of its
   host with the most, provided that it has more than the newcomer's network would then have, and that this host has
   more than the newcomer. Otherwise (the newcomer's own network has the most, or the networks are even), a host gives
   up one if it has more than an eighth of all accepted connections, and more than the newcomer would have. Of that
   host's next few connections, the one that has exhausted most of its patience is evicted. A connection counts for its
   host only when its handshake is complete, since anybody can begin one in another host's name. *)
let make_fair t ~newcomer =
  let hosts = t.hosts in
  let has = Hosts.count hosts newcomer and network = Hosts.most_of_networks hosts in
  let of_others =
    network.count > 1 + Hosts.count_of_network hosts newcomer && network.most.count > has
  in
  let host = if of_others then network.most else Hosts.most hosts in
  let n = host.count in
  if of_others || (n >= 4 && 8 * n > Hosts.total hosts && n > 1 + has) then (
    let worst = ref None and most = ref (-1) in
    for _ = 1 to min looked_at n do
      let place = host.next in
      host.next <- place.newer;
      match place.who with
      | None | Some { state = Closed | Time_wait; _ } -> ()
      | Some c ->
          look t place c;
          let tried = tried t place c in
          if tried > !most then (
            most := tried;
            worst := place.who)
    done;
    Option.iter (make_way t) !worst)

(* Among the hosts of the largest network that have equally many connections (perhaps one each), the host whose
   connection has exhausted most of its patience is the one to give up a place. *)
let has_the_most t host ~tried ~most =
  let network = host.network in
  if network == Hosts.most_of_networks t.hosts && host.count = network.most.count && tried > !most
  then (
    most := tried;
    network.most <- host)

(* [newcomer] is the host that wants a place, if its address has been verified. *)
let evict ?newcomer t =
  let worst = ref None and most = ref 999 and most_there = ref (-1) in
  in_turn t (fun place c ->
      Hosts.saw t.hosts place.host;
      look t place c;
      let tried = tried t place c in
      has_the_most t place.host ~tried ~most:most_there;
      if tried > !most then (
        most := tried;
        worst := place.who));
  match (!worst, newcomer) with
  | Some c, _ -> make_way t c
  | None, Some newcomer -> make_fair t ~newcomer
  | None, None -> ()

(* {1 Too much data} *)

(* Releasing memory counts as progress only in proportion to what is held: with an octet now and then, a buffer could
   be kept for days. At a thirty-second part per patience (three seconds), half of it is released within about a minute.
   A buffer that has doubled since starts afresh. *)
let worth_it = 32

let is_stuck t place ~held ~released =
  if
    held > 2 * place.held
    || released < place.released
    || released - place.released > held / worth_it
  then (
    place.held <- held;
    place.released <- released;
    place.stuck_since <- t.env.now);
  t.env.now - place.stuck_since >= patience ~holds:true ~moved:0

(* What the connection holds, if that is more than is allowed when memory is short and does not shrink; otherwise 0.
   Data that its user is still waiting to write does not count as held by the peer. *)
let stuck_with t place (c : Tcb.t) =
  let sending = Flight.octets c.flight + Octets.octets c.unsent
  and receiving = received_cost c + ahead_cost c in
  (* On a silent path segments are cut smaller, and what was one segment must not then count as several. *)
  let segment = max c.mss 1460 in
  let sent = sending + c.beside - segment and received = receiving - (3 * segment) in
  let stuck =
    if sent >= received then is_stuck t place ~held:sending ~released:c.octets_acked
    else is_stuck t place ~held:receiving ~released:(c.octets_received - Octets.octets c.received)
  in
  if stuck && max sent received > 0 then c.account + c.beside else 0

(* Data ahead of a gap need not be kept (RFC 2018 section 8), and dropping it may be enough. *)
let give_way t (c : Tcb.t) =
  if Reassembly.is_empty c.ahead then make_way t c
  else (
    hold t.env c (-ahead_cost c);
    Reassembly.clear c.ahead)

(* Called when a connection cannot go on because others hold the memory. Of the next few in the queue, the connection
   that is stuck with the most gives way: a closed window may stay closed for ever (RFC 9293 section 3.8.6.1), but not
   at the expense of others. None does if that would not help: memory may also be short because of data that peers are
   taking, such as when a user writes more at once than the limit for all. While the memory is not needed, a slow reader
   may take as long as it likes. *)
let relieve t =
  t.env.short <- false;
  if under_pressure t.env then (
    let worst = ref None and most = ref 0 in
    in_turn t (fun place c ->
        let stuck = stuck_with t place c in
        count_stuck t place stuck;
        if stuck > !most then (
          most := stuck;
          worst := place.who));
    if t.env.memory - t.env.stuck_octets < t.env.config.memory_max then
      Option.iter (give_way t) !worst)

(* Makes room for one more connection if necessary; whether there is any. *)
let has_room ?newcomer t =
  let full () = count t >= t.env.config.connections_max in
  if full () then drop_waiting t.env;
  if full () then evict ?newcomer t;
  not (full ())

(* A newcomer evicts only one connection, so those above a new bound have to go by themselves. *)
let rec shrink t =
  let n = count t in
  if n > t.env.config.connections_max then (
    drop_waiting t.env;
    if count t = n then evict t;
    if count t < n then shrink t)
