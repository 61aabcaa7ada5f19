open Mirust_wire
open Mirust_net_env
open Mirust_netif

type conditions = {
  drop : float;
  duplicate : float;
  corrupt : float;
  reorder : float;
  reorder_by : int;
  delay : int;
  jitter : int;
  rate : int;
  queue : int;
}

let perfect =
  {
    drop = 0.;
    duplicate = 0.;
    corrupt = 0.;
    reorder = 0.;
    reorder_by = 0;
    delay = 0;
    jitter = 0;
    rate = 0;
    queue = 0;
  }

type counters = {
  mutable sent : int;
  mutable delivered : int;
  mutable dropped : int;
  mutable duplicated : int;
  mutable corrupted : int;
  mutable reordered : int;
  mutable overflowed : int;
}

module Due = Map.Make (struct
  type t = int * int

  let compare (a, b) (c, d) = match Int.compare a c with 0 -> Int.compare b d | n -> n
end)

type port = {
  mac : Macaddr.t;
  station : int; (* [mac], as a number *)
  promiscuous : bool;
  mtu : int;
  features : Device.features;
  ring : int;
  alloc : int -> Cstruct.t;
  mutable receiver : Packet.t list -> unit;
  mutable room : unit -> unit;
  mutable link : unit -> unit;
  mutable gone : unit -> unit;
  mutable up : bool;
  mutable waiting : int; (* frames sent by this port and still under way *)
  mutable full : bool;
  mutable busy_until : int; (* when the cable towards this port is free again *)
  mutable inbox : (port * Packet.t) list; (* newest first *)
  mutable taken : (port * Packet.t) list; (* what is delivered in this turn *)
  counters : Device.counters;
}

type t = {
  immediate : bool;
  rng : Random.State.t;
  mutable conditions : conditions;
  mutable ports : port list;
  mutable due : (port * port * Packet.t) Due.t;
  mutable sequence : int;
  mutable turn : bool; (* a delivery of the inboxes is on its way *)
  mutable deliver : unit -> unit; (* that delivery *)
  mutable timer : Timer.t option;
  counters : counters;
}

let counters t = t.counters
let set_conditions t c = t.conditions <- c
let chance t p = p > 0. && Random.State.float t.rng 1. < p

let receive (port : port) packets =
  List.iter (fun (p : Packet.t) -> Device.count_rx port.counters (Cstruct.length p.data)) packets;
  if port.up then port.receiver packets

let leave sender =
  sender.waiting <- sender.waiting - 1;
  if sender.full && sender.waiting <= sender.ring / 2 then (
    sender.full <- false;
    sender.room ())

(* Frames leave their senders' rings when they are taken in, so that a sender cannot fill memory within one
   turn. *)
let take port =
  port.taken <- port.inbox;
  port.inbox <- []

let deliver port =
  match port.taken with
  | [] -> ()
  | frames ->
      port.taken <- [];
      List.iter (fun (sender, _) -> leave sender) frames;
      receive port (List.rev_map snd frames)

let deliver_inboxes t =
  t.turn <- false;
  List.iter take t.ports;
  List.iter deliver t.ports

let arrive t sender port packet =
  t.counters.delivered <- t.counters.delivered + 1;
  if t.immediate then (
    leave sender;
    receive port [ packet ])
  else (
    port.inbox <- (sender, packet) :: port.inbox;
    if not t.turn then (
      t.turn <- true;
      Env.soon t.deliver))

let next_due t = match Due.min_binding_opt t.due with None -> None | Some ((at, _), _) -> Some at

let rec run_due t now =
  match Due.min_binding_opt t.due with
  | Some (((at, _) as key), (sender, port, packet)) when at <= now ->
      t.due <- Due.remove key t.due;
      arrive t sender port packet;
      run_due t now
  | Some _ | None -> ()

let timer t =
  match t.timer with
  | Some timer -> timer
  | None ->
      let rec timer =
        lazy
          (Timer.create (fun () ->
               run_due t (Env.now ());
               Timer.set (Lazy.force timer) (next_due t)))
      in
      let timer = Lazy.force timer in
      t.timer <- Some timer;
      timer

let schedule t at sender port packet =
  t.sequence <- t.sequence + 1;
  t.due <- Due.add (at, t.sequence) (sender, port, packet) t.due;
  Timer.set (timer t) (next_due t)

let corrupt t (p : Packet.t) =
  let data = Cstruct.of_string (Cstruct.to_string p.data) in
  let eth = Ethernet.header_length in
  (if Cstruct.length data > eth then
     let at = eth + Random.State.int t.rng (Cstruct.length data - eth) in
     Cstruct.set_uint8 data at (Cstruct.get_uint8 data at lxor (1 lsl Random.State.int t.rng 8)));
  (* A device that verified the checksum would not say so of this frame. *)
  { p with data; checksum = `Unknown }

let cross t sender port (packet : Packet.t) =
  let c = t.conditions in
  t.counters.sent <- t.counters.sent + 1;
  sender.waiting <- sender.waiting + 1;
  (if chance t c.drop then (
     t.counters.dropped <- t.counters.dropped + 1;
     leave sender)
   else
     let packet =
       if chance t c.corrupt then (
         t.counters.corrupted <- t.counters.corrupted + 1;
         corrupt t packet)
       else packet
     in
     let untimed = c.rate = 0 && c.delay = 0 && c.jitter = 0 && c.reorder = 0. in
     if untimed then arrive t sender port packet
     else
       let now = Env.now () in
       let start = max now port.busy_until in
       let bits = Cstruct.length packet.data * 8 in
       let waiting_bytes = if c.rate = 0 then 0 else (start - now) * (c.rate / 8_000) / 1_000_000 in
       if c.queue > 0 && waiting_bytes > c.queue then (
         t.counters.overflowed <- t.counters.overflowed + 1;
         leave sender)
       else
         let free = if c.rate = 0 then start else start + (bits * 1_000_000 / (c.rate / 1000)) in
         port.busy_until <- free;
         let held =
           if chance t c.reorder then (
             t.counters.reordered <- t.counters.reordered + 1;
             c.reorder_by)
           else 0
         in
         let jitter =
           if c.jitter > 0 then Random.State.int t.rng (min c.jitter 0x3fffffff) else 0
         in
         let at = free + c.delay + jitter + held in
         if at <= now then arrive t sender port packet else schedule t at sender port packet);
  if chance t c.duplicate then (
    t.counters.duplicated <- t.counters.duplicated + 1;
    sender.waiting <- sender.waiting + 1;
    if c.delay = 0 then arrive t sender port packet
    else schedule t (Env.now () + c.delay) sender port packet)

(* Carries a frame as the receiving port may see it: as it was sent, or completed and cut. *)
let carry t sender (f : Device.frame) b port =
  let large = f.gso_size > 0 && Cstruct.length b > port.mtu + Ethernet.header_length in
  let takes_large = port.features.tso4 && port.features.tso6 in
  if large && not takes_large then
    List.iter (fun b -> cross t sender port (Packet.v b)) (Gso.segment ~gso_size:f.gso_size b)
  else if f.checksum_start > 0 then (
    if port.features.checksum then
      cross t sender port
        { data = b; checksum = `Blank; gso_size = (if large then f.gso_size else 0) }
    else
      let copy = Cstruct.of_string (Cstruct.to_string b) in
      Gso.complete f copy;
      cross t sender port (Packet.v copy))
  else cross t sender port { data = b; checksum = `Unknown; gso_size = 0 }

let rec carry_to_all t sender f b ~station ~group = function
  | [] -> ()
  | port :: rest ->
      if port != sender && port.up && (group || port.promiscuous || port.station = station) then
        carry t sender f b port;
      carry_to_all t sender f b ~station ~group rest

let send t sender (f : Device.frame) : Device.outcome =
  let length = Device.frame_length f in
  let limit = if f.gso_size > 0 then sender.features.max_gso else sender.mtu in
  if not sender.up then `Disconnected
  else if length <= Ethernet.header_length || length > limit + Ethernet.header_length then
    `Invalid_length
  else if sender.waiting >= sender.ring then (
    sender.full <- true;
    `Full)
  else (
    Device.count_tx sender.counters length;
    (* The head's buffer is not handed out again, so that a frame without further payload needs no
       copy. *)
    let b = Gso.linear ~alloc:sender.alloc f in
    carry_to_all t sender f b ~station:(Field.u48 b 0) ~group:(Ethernet.is_group b) t.ports;
    `Sent)

let create ?(seed = 1) ?(conditions = perfect) ?(immediate = false) () =
  let t =
    {
      immediate;
      rng = Random.State.make [| seed |];
      conditions;
      ports = [];
      due = Due.empty;
      sequence = 0;
      turn = false;
      deliver = ignore;
      timer = None;
      counters =
        {
          sent = 0;
          delivered = 0;
          dropped = 0;
          duplicated = 0;
          corrupted = 0;
          reordered = 0;
          overflowed = 0;
        };
    }
  in
  t.deliver <- (fun () -> deliver_inboxes t);
  t

let replug t mac =
  List.iter (fun port -> if Macaddr.compare port.mac mac = 0 then port.link ()) t.ports

let attach ?name ?(mtu = 1500) ?(features = Device.no_features) ?(ring = 256) ?(promiscuous = false)
    t mac =
  let port =
    {
      mac;
      station = Field.mac_number mac;
      promiscuous;
      mtu;
      features;
      ring;
      alloc = Slab.alloc (Slab.create 65536);
      receiver = ignore;
      room = ignore;
      link = ignore;
      gone = ignore;
      up = true;
      waiting = 0;
      full = false;
      busy_until = 0;
      inbox = [];
      taken = [];
      counters = Device.no_counters ();
    }
  in
  let name = match name with Some n -> n | None -> "mem" ^ string_of_int (List.length t.ports) in
  t.ports <- t.ports @ [ port ];
  let disconnect () =
    if port.up then (
      port.up <- false;
      t.ports <- List.filter (fun p -> p != port) t.ports;
      port.gone ())
  in
  {
    Device.name;
    mac;
    mtu = (fun () -> mtu);
    features = (fun () -> features);
    reserve = (fun n -> if port.up then port.alloc n else Cstruct.empty);
    send = send t port;
    flush = ignore;
    on_receive = (fun f -> port.receiver <- f);
    on_room = (fun f -> port.room <- f);
    on_link = (fun f -> port.link <- f);
    on_pressure = ignore;
    on_disconnect = (fun f -> port.gone <- f);
    join = ignore;
    leave = ignore;
    disconnect;
    counters = port.counters;
  }
