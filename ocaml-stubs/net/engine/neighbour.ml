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

(* Of the capacity, and of all that waits: for neighbours that have not answered yet. *)
let asked_of capacity = max 4 (capacity / 4)
let waiting_of config = config.queue * max 4 (config.capacity / 32)

type ('addr, 'packet) entry = {
  addr : 'addr;
  mutable state : state;
  mutable mac : Macaddr.t;
  mutable deadline : int;
      (* Reachable: when it becomes stale. Incomplete, Delay, Probe: when the timer fires. *)
  mutable tries : int;
  waiting : 'packet Queue.t;
  mutable used : bool; (* since it was last considered for eviction *)
  mutable alive : bool;
  mutable place : ('addr, 'packet) entry Chain.link option;
  mutable serial : int; (* of its timer, among those of the same time *)
}

type ('addr, 'packet) action =
  | Solicit of { target : 'addr; unicast : Macaddr.t option }
  | Transmit of { packet : 'packet; mac : Macaddr.t }
  | Unreachable of { target : 'addr; packets : 'packet list }
  | Overflow of 'packet

module Timers = Map.Make (struct
  type t = int * int (* when; serial *)

  let compare (a, i) (b, j) = match Int.compare a b with 0 -> Int.compare i j | c -> c
end)

(* Each entry is in one of three chains, the oldest first. A flood of questions fills [asked], and of
   forged ones about us [heard]; neither touches what works (RFC 6583 section 7.1). *)
type ('addr, 'packet) t = {
  mutable config : config;
  table : ('addr, ('addr, 'packet) entry) Hashtbl.t;
  asked : ('addr, 'packet) entry Chain.t; (* Incomplete *)
  heard : ('addr, 'packet) entry Chain.t; (* known by what they said, and never sent to *)
  proven : ('addr, 'packet) entry Chain.t; (* sent to, or confirmed *)
  mutable timers : ('addr, 'packet) entry Timers.t;
  mutable serial : int;
  mutable waiting : int; (* packets, of all entries *)
}

let create config =
  {
    config;
    table = Hashtbl.create 16;
    asked = Chain.create ();
    heard = Chain.create ();
    proven = Chain.create ();
    timers = Timers.empty;
    serial = 0;
    waiting = 0;
  }

let set_config t config = t.config <- config
let config t = t.config
let timed e = match e.state with Incomplete | Delay | Probe -> true | Reachable | Stale -> false

(* {1 Timers} *)

let stop_timer t (e : _ entry) =
  if e.serial >= 0 then (
    t.timers <- Timers.remove (e.deadline, e.serial) t.timers;
    e.serial <- -1)

(* With the state set before. *)
let set_deadline t (e : _ entry) deadline =
  stop_timer t e;
  e.deadline <- deadline;
  if timed e && deadline < max_int then (
    t.serial <- t.serial + 1;
    e.serial <- t.serial;
    t.timers <- Timers.add (deadline, e.serial) e t.timers)

(* {1 Places} *)

let link e =
  match e.place with
  | Some l -> l
  | None ->
      let l = Chain.link e in
      e.place <- Some l;
      l

let move e chain = Chain.append chain (link e)

(* Takes the entry out, and gives what waited for it. *)
let drop t (e : _ entry) =
  e.alive <- false;
  Hashtbl.remove t.table e.addr;
  stop_timer t e;
  Option.iter Chain.remove e.place;
  t.waiting <- t.waiting - Queue.length e.waiting;
  let packets = List.of_seq (Queue.to_seq e.waiting) in
  Queue.clear e.waiting;
  packets

let overflow packets = List.map (fun p -> Overflow p) packets

(* The second chance: what was used since it was looked at last goes to the end. Constant time each,
   as an entry is only passed over if it was used in between. *)
let rec evict_proven t tries =
  match Chain.first t.proven with
  | None -> []
  | Some e when e.used && tries > 0 ->
      e.used <- false;
      move e t.proven;
      evict_proven t (tries - 1)
  | Some e -> overflow (drop t e)

let evict_first t chain = match Chain.first chain with None -> [] | Some e -> overflow (drop t e)

let make_room t =
  if Hashtbl.length t.table < t.config.capacity then []
  else if Chain.length t.heard > 0 then evict_first t t.heard
  else if Chain.length t.proven > 0 then evict_proven t 64
  else evict_first t t.asked

(* {1 Entries} *)

let fresh_entry addr =
  {
    addr;
    state = Incomplete;
    mac = Macaddr.broadcast;
    deadline = max_int;
    tries = 0;
    waiting = Queue.create ();
    used = false;
    alive = false;
    place = None;
    serial = -1;
  }

let insert t addr =
  let dropped = make_room t in
  let e = fresh_entry addr in
  e.alive <- true;
  Hashtbl.replace t.table addr e;
  (e, dropped)

let find t addr = match Hashtbl.find_opt t.table addr with Some e -> e | None -> fresh_entry addr

(* In Delay and Probe the timer does what is left to do, so a sender need not help. *)
let fresh e ~now =
  e.alive
  &&
  match e.state with
  | Reachable ->
      e.used <- true;
      now < e.deadline
  | Delay | Probe ->
      e.used <- true;
      true
  | Incomplete | Stale -> false

let mac e = e.mac

let enqueue t (e : _ entry) packet =
  let take () =
    match Queue.take_opt e.waiting with
    | None -> []
    | Some p ->
        t.waiting <- t.waiting - 1;
        [ Overflow p ]
  in
  let dropped = if Queue.length e.waiting >= t.config.queue then take () else [] in
  let dropped = if t.waiting >= waiting_of t.config then dropped @ take () else dropped in
  if t.waiting >= waiting_of t.config then dropped @ [ Overflow packet ]
  else (
    t.waiting <- t.waiting + 1;
    Queue.add packet e.waiting;
    dropped)

let start_delay t e ~now =
  e.state <- Delay;
  set_deadline t e (now + t.config.delay)

let ask t ~now addr packet =
  let dropped =
    if Chain.length t.asked >= asked_of t.config.capacity then evict_first t t.asked else []
  in
  let e, evicted = insert t addr in
  move e t.asked;
  e.tries <- 1;
  set_deadline t e (now + t.config.retransmit);
  let overflowed = enqueue t e packet in
  dropped @ evicted @ overflowed @ [ Solicit { target = addr; unicast = None } ]

(* One use is none yet: those who are answered once do not push out those who are talked with. *)
let use t e =
  match e.place with
  | Some l when Chain.is_in l t.proven -> e.used <- true
  | Some _ | None -> move e t.proven

let send t ~now addr packet =
  match Hashtbl.find_opt t.table addr with
  | None -> ask t ~now addr packet
  | Some e -> (
      match e.state with
      | Reachable when now < e.deadline ->
          use t e;
          [ Transmit { packet; mac = e.mac } ]
      | Reachable | Stale ->
          use t e;
          start_delay t e ~now;
          [ Transmit { packet; mac = e.mac } ]
      | Delay | Probe ->
          use t e;
          [ Transmit { packet; mac = e.mac } ]
      | Incomplete -> enqueue t e packet)

let release t (e : _ entry) =
  t.waiting <- t.waiting - Queue.length e.waiting;
  let packets = List.of_seq (Queue.to_seq e.waiting) in
  Queue.clear e.waiting;
  List.map (fun packet -> Transmit { packet; mac = e.mac }) packets

let set_reachable t e ~now =
  e.state <- Reachable;
  set_deadline t e (now + t.config.reachable);
  e.tries <- 0;
  use t e

let set_stale t e =
  e.state <- Stale;
  set_deadline t e max_int;
  e.tries <- 0

(* What was asked for has been answered, if only by a question. *)
let answered t e = if e.state = Incomplete then move e t.proven

let heard t ~now:_ addr mac =
  match Hashtbl.find_opt t.table addr with
  | None ->
      let e, dropped = insert t addr in
      e.mac <- mac;
      set_stale t e;
      move e t.heard;
      dropped
  | Some ({ state = Incomplete; _ } as e) ->
      e.mac <- mac;
      answered t e;
      set_stale t e;
      release t e
  | Some e ->
      if Macaddr.compare e.mac mac <> 0 then (
        e.mac <- mac;
        set_stale t e);
      []

let advertised t ~now addr ~mac ~solicited ~override =
  match Hashtbl.find_opt t.table addr with
  | None -> []
  | Some e -> (
      match (e.state, mac) with
      | Incomplete, None -> []
      | Incomplete, Some mac ->
          e.mac <- mac;
          answered t e;
          if solicited then set_reachable t e ~now else set_stale t e;
          release t e
      | (Reachable | Stale | Delay | Probe), _ ->
          let changed =
            match mac with Some mac -> Macaddr.compare mac e.mac <> 0 | None -> false
          in
          if changed && not override then (if e.state = Reachable then set_stale t e)
          else (
            Option.iter (fun mac -> e.mac <- mac) mac;
            if solicited then set_reachable t e ~now else if changed then set_stale t e);
          [])

let confirm e t ~now =
  match e.state with
  | Incomplete -> ()
  | Reachable | Stale | Delay | Probe -> if e.alive then set_reachable t e ~now

let doubt t ~now =
  while Chain.length t.heard > 0 do
    ignore (evict_first t t.heard)
  done;
  Hashtbl.iter
    (fun _ e ->
      match e.state with
      | Incomplete | Probe -> ()
      | Reachable | Stale | Delay ->
          e.state <- Delay;
          set_deadline t e now)
    t.table

let forget t addr = match Hashtbl.find_opt t.table addr with None -> [] | Some e -> drop t e

let next t =
  match Timers.min_binding_opt t.timers with None -> None | Some ((at, _), _) -> Some at

let retry t e ~now =
  e.tries <- e.tries + 1;
  set_deadline t e (now + t.config.retransmit)

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

(* What fires sets its next time behind [now]. *)
let rec tick t ~now =
  match Timers.min_binding_opt t.timers with
  | Some ((at, _), e) when at <= now ->
      let actions = expire t e ~now in
      actions @ tick t ~now
  | Some _ | None -> []

let entries t ~now =
  Hashtbl.fold
    (fun addr e l ->
      let state = if e.state = Reachable && now >= e.deadline then Stale else e.state in
      (addr, state, e.mac) :: l)
    t.table []
