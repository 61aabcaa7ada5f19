type state = Incomplete | Reachable | Stale | Delay | Probe

let pp_state ppf s =
  Fmt.string ppf
    (match s with
    | Incomplete -> "incomplete"
    | Reachable -> "reachable"
    | Stale -> "stale"
    | Delay -> "delay"
    | Probe -> "probe")

type config = {
  reachable : int;
  retransmit : int;
  delay : int;
  multicast_tries : int;
  unicast_tries : int;
  capacity : int;
  queue : int;
}

let second = 1_000_000_000

let default =
  {
    reachable = 30 * second;
    retransmit = second;
    delay = 5 * second;
    multicast_tries = 3;
    unicast_tries = 3;
    capacity = 1024;
    queue = 16;
  }

type ('addr, 'packet) entry = {
  addr : 'addr;
  mutable state : state;
  mutable mac : Macaddr.t;
  mutable deadline : int;
      (* Reachable: when it becomes stale. Incomplete, Delay, Probe: when the timer fires. *)
  mutable tries : int;
  waiting : 'packet Queue.t;
  mutable used : int; (* the value of the cache's clock when it was last looked up *)
  mutable alive : bool;
}

type ('addr, 'packet) action =
  | Solicit of { target : 'addr; unicast : Macaddr.t option }
  | Transmit of { packet : 'packet; mac : Macaddr.t }
  | Unreachable of { target : 'addr; packets : 'packet list }
  | Overflow of 'packet

type ('addr, 'packet) t = {
  mutable config : config;
  table : ('addr, ('addr, 'packet) entry) Hashtbl.t;
  mutable clock : int;
}

let create config = { config; table = Hashtbl.create 16; clock = 0 }
let set_config t config = t.config <- config
let config t = t.config
let timed e = match e.state with Incomplete | Delay | Probe -> true | Reachable | Stale -> false

(* An unanswered question is dropped only when there is nothing else. *)
let evict t =
  let older a b = a.used < b.used in
  let better a b = if timed a = timed b then older a b else not (timed a) in
  let pick _ e = function Some best when better best e -> Some best | Some _ | None -> Some e in
  match Hashtbl.fold pick t.table None with
  | None -> ()
  | Some e ->
      e.alive <- false;
      Hashtbl.remove t.table e.addr

(* A new entry is Incomplete with no question asked: its deadline is never. *)
let find t addr =
  t.clock <- t.clock + 1;
  match Hashtbl.find_opt t.table addr with
  | Some e ->
      e.used <- t.clock;
      e
  | None ->
      if Hashtbl.length t.table >= t.config.capacity then evict t;
      let e =
        {
          addr;
          state = Incomplete;
          mac = Macaddr.broadcast;
          deadline = max_int;
          tries = 0;
          waiting = Queue.create ();
          used = t.clock;
          alive = true;
        }
      in
      Hashtbl.replace t.table addr e;
      e

(* In Delay and Probe the timer does what is left to do, so a sender need not help. *)
let fresh e ~now =
  e.alive
  &&
  match e.state with
  | Reachable -> now < e.deadline
  | Delay | Probe -> true
  | Incomplete | Stale -> false

let mac e = e.mac

let enqueue t e packet =
  let dropped =
    if Queue.length e.waiting >= t.config.queue then
      match Queue.take_opt e.waiting with Some p -> [ Overflow p ] | None -> []
    else []
  in
  Queue.add packet e.waiting;
  dropped

let start_delay t e ~now =
  e.state <- Delay;
  e.deadline <- now + t.config.delay

let send t ~now addr packet =
  let e = find t addr in
  match e.state with
  | Reachable when now < e.deadline -> [ Transmit { packet; mac = e.mac } ]
  | Reachable | Stale ->
      start_delay t e ~now;
      [ Transmit { packet; mac = e.mac } ]
  | Delay | Probe -> [ Transmit { packet; mac = e.mac } ]
  | Incomplete ->
      let dropped = enqueue t e packet in
      if e.deadline = max_int then (
        e.tries <- 1;
        e.deadline <- now + t.config.retransmit;
        dropped @ [ Solicit { target = addr; unicast = None } ])
      else dropped

let release e =
  let packets = List.of_seq (Queue.to_seq e.waiting) in
  Queue.clear e.waiting;
  List.map (fun packet -> Transmit { packet; mac = e.mac }) packets

let set_reachable t e ~now =
  e.state <- Reachable;
  e.deadline <- now + t.config.reachable;
  e.tries <- 0

let set_stale e =
  e.state <- Stale;
  e.deadline <- max_int;
  e.tries <- 0

let heard t ~now:_ addr mac =
  let e = find t addr in
  match e.state with
  | Incomplete ->
      e.mac <- mac;
      set_stale e;
      release e
  | Reachable | Stale | Delay | Probe ->
      if Macaddr.compare e.mac mac <> 0 then (
        e.mac <- mac;
        set_stale e);
      []

let advertised t ~now addr ~mac ~solicited ~override =
  match Hashtbl.find_opt t.table addr with
  | None -> []
  | Some e -> (
      match (e.state, mac) with
      | Incomplete, None -> []
      | Incomplete, Some mac ->
          e.mac <- mac;
          if solicited then set_reachable t e ~now else set_stale e;
          release e
      | (Reachable | Stale | Delay | Probe), _ ->
          let changed =
            match mac with Some mac -> Macaddr.compare mac e.mac <> 0 | None -> false
          in
          if changed && not override then (if e.state = Reachable then set_stale e)
          else (
            Option.iter (fun mac -> e.mac <- mac) mac;
            if solicited then set_reachable t e ~now else if changed then set_stale e);
          [])

let confirm e t ~now =
  match e.state with
  | Incomplete -> ()
  | Reachable | Stale | Delay | Probe -> if e.alive then set_reachable t e ~now

let drop t e =
  e.alive <- false;
  Hashtbl.remove t.table e.addr;
  let packets = List.of_seq (Queue.to_seq e.waiting) in
  Queue.clear e.waiting;
  packets

let forget t addr = match Hashtbl.find_opt t.table addr with None -> [] | Some e -> drop t e

let next t =
  let earliest _ e at = if timed e then min at e.deadline else at in
  match Hashtbl.fold earliest t.table max_int with n when n = max_int -> None | n -> Some n

let retry t e ~now =
  e.tries <- e.tries + 1;
  e.deadline <- now + t.config.retransmit

let expire t e ~now =
  match e.state with
  | Reachable | Stale -> []
  | Incomplete ->
      if e.tries < t.config.multicast_tries then (
        retry t e ~now;
        [ Solicit { target = e.addr; unicast = None } ])
      else [ Unreachable { target = e.addr; packets = drop t e } ]
  | Delay ->
      e.state <- Probe;
      e.tries <- 0;
      retry t e ~now;
      [ Solicit { target = e.addr; unicast = Some e.mac } ]
  | Probe ->
      if e.tries < t.config.unicast_tries then (
        retry t e ~now;
        [ Solicit { target = e.addr; unicast = Some e.mac } ])
      else [ Unreachable { target = e.addr; packets = drop t e } ]

let tick t ~now =
  let due =
    Hashtbl.fold (fun _ e l -> if timed e && e.deadline <= now then e :: l else l) t.table []
  in
  List.concat_map (fun e -> expire t e ~now) due

let entries t ~now =
  Hashtbl.fold
    (fun addr e l ->
      let state = if e.state = Reachable && now >= e.deadline then Stale else e.state in
      (addr, state, e.mac) :: l)
    t.table []
