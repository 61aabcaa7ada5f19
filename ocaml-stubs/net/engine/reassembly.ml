type config = { memory : int; packets : int; fragments : int; timeout : int }

let default = { memory = 1 lsl 20; packets = 256; fragments = 128; timeout = 30_000_000_000 }

type 'key packet = {
  key : 'key;
  expires : int;
  mutable buffer : Cstruct.t;
  mutable ranges : (int * int) list; (* received, as (first, beyond), ascending and disjoint *)
  mutable total : int; (* -1 until the last fragment has come *)
  mutable count : int;
}

type 'key t = {
  config : config;
  table : ('key, 'key packet) Hashtbl.t;
  order : 'key packet Queue.t; (* by age; may hold packets that are gone, without what they had *)
  mutable memory : int;
}

type outcome = Pending | Complete of Cstruct.t | Dropped of [ `Overlap | `Inconsistent | `Limit ]

let create config = { config; table = Hashtbl.create 16; order = Queue.create (); memory = 0 }
let memory t = t.memory
let current t p = match Hashtbl.find_opt t.table p.key with Some q -> p == q | None -> false

let drop t p =
  if current t p then (
    Hashtbl.remove t.table p.key;
    t.memory <- t.memory - Cstruct.length p.buffer;
    p.buffer <- Cstruct.empty;
    p.ranges <- [])

(* The oldest packet that is still there. *)
let rec oldest t =
  match Queue.peek_opt t.order with
  | None -> None
  | Some p when current t p -> Some p
  | Some _ ->
      ignore (Queue.pop t.order);
      oldest t

let rec make_room t ~keep bytes =
  if t.memory + bytes <= t.config.memory then true
  else
    match oldest t with
    | Some p when p != keep ->
        drop t p;
        make_room t ~keep bytes
    | Some _ | None -> false

let grow t p needed =
  let have = Cstruct.length p.buffer in
  if needed <= have then true
  else
    let size = min 65536 (max needed (max 2048 (2 * have))) in
    let ok = make_room t ~keep:p (size - have) in
    if ok then (
      let bigger = Cstruct.create_unsafe size in
      Cstruct.blit p.buffer 0 bigger 0 have;
      t.memory <- t.memory + size - have;
      p.buffer <- bigger);
    ok

(* Where the range goes among those received: new, an exact repetition, or neither. *)
let rec insert first beyond = function
  | [] -> `New [ (first, beyond) ]
  | (f, b) :: rest as all ->
      if beyond < f then `New ((first, beyond) :: all)
      else if beyond = f then `New ((first, b) :: rest)
      else if first >= f && beyond <= b then `Within
      else if first > b then
        match insert first beyond rest with
        | `New l -> `New ((f, b) :: l)
        | (`Within | `Overlap) as r -> r
      else if first = b then
        (* Adjacent: join, unless that runs into the next range. *)
        match rest with
        | (f', b') :: rest' when beyond = f' -> `New ((f, b') :: rest')
        | (f', _) :: _ when beyond > f' -> `Overlap
        | _ -> `New ((f, beyond) :: rest)
      else `Overlap

let find t ~now key =
  match Hashtbl.find_opt t.table key with
  | Some p when p.expires > now -> p
  | stale ->
      Option.iter (drop t) stale;
      if Hashtbl.length t.table >= t.config.packets then Option.iter (drop t) (oldest t);
      (* Packets that ended out of order leave their place in the queue behind. *)
      if Queue.length t.order > 4 * t.config.packets then (
        let live = Queue.create () in
        Queue.iter (fun p -> if current t p then Queue.add p live) t.order;
        Queue.clear t.order;
        Queue.transfer live t.order);
      let p =
        {
          key;
          expires = now + t.config.timeout;
          buffer = Cstruct.empty;
          ranges = [];
          total = -1;
          count = 0;
        }
      in
      Hashtbl.replace t.table key p;
      Queue.add p t.order;
      p

let fail t p reason =
  drop t p;
  Dropped reason

let consistent p ~offset ~beyond ~more =
  let last = List.fold_left (fun _ (_, b) -> b) 0 p.ranges in
  offset land 7 = 0
  && beyond <= 0xffff && beyond > offset
  &&
  if more then beyond land 7 = 0 && (p.total < 0 || beyond < p.total)
  else (p.total < 0 || p.total = beyond) && last <= beyond

let add t ~now key ~offset ~more data =
  let p = find t ~now key in
  let beyond = offset + Cstruct.length data in
  if not (consistent p ~offset ~beyond ~more) then fail t p `Inconsistent
  else if p.count >= t.config.fragments then fail t p `Limit
  else
    match insert offset beyond p.ranges with
    | `Overlap -> fail t p `Overlap
    | `Within ->
        (* A repetition is harmless if it says the same. *)
        p.count <- p.count + 1;
        if Cstruct.equal (Cstruct.sub p.buffer offset (beyond - offset)) data then Pending
        else fail t p `Overlap
    | `New ranges ->
        if not (grow t p beyond) then fail t p `Limit
        else (
          Cstruct.blit data 0 p.buffer offset (beyond - offset);
          p.ranges <- ranges;
          p.count <- p.count + 1;
          if not more then p.total <- beyond;
          match ranges with
          | [ (0, b) ] when b = p.total ->
              let data = Cstruct.sub p.buffer 0 b in
              drop t p;
              Complete data
          | _ -> Pending)

let next t = Option.map (fun p -> p.expires) (oldest t)

let rec tick t ~now =
  match oldest t with
  | Some p when p.expires <= now ->
      drop t p;
      tick t ~now
  | Some _ | None -> ()
