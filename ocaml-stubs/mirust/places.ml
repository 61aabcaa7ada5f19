type place = {
  id : int;
  leave : unit -> unit;
  came : int64;
  mutable active : int64; (* when something last moved *)
  mutable busy : bool;
  mutable times : int; (* the client was served *)
}

type t = { mutable most : int; places : (int, place) Hashtbl.t; mutable next : int }

let create most = { most = max 1 most; places = Hashtbl.create 16; next = 0 }
let set_most t most = t.most <- max 1 most
let now () = Mclock.elapsed_ns ()
let moved p = p.active <- now ()
let set_busy p busy = p.busy <- busy

let served p =
  moved p;
  p.times <- p.times + 1

let give t p = Hashtbl.remove t.places p.id
let taken t = Hashtbl.length t.places

(* How much of the patience with a client is used up. *)
let tried p ~now =
  let between earlier later = Int64.to_int (Int64.sub later earlier) in
  Abi.patience (between p.came p.active) (between p.active now) p.times (Bool.to_int p.busy)

let make_room t =
  let now = now () in
  let worse _ p best =
    let tried = tried p ~now in
    match best with Some (_, most) when most >= tried -> best | Some _ | None -> Some (p, tried)
  in
  Option.iter
    (fun (p, _) ->
      give t p;
      p.leave ())
    (Hashtbl.fold worse t.places None)

let shed t =
  while taken t > t.most do
    make_room t
  done

let of_memory most =
  let t = create 1 in
  Budget.follow (fun budget -> set_most t (most budget));
  t

let take t ~leave =
  while taken t >= t.most do
    make_room t
  done;
  let now = now () in
  let p = { id = t.next; leave; came = now; active = now; busy = false; times = 0 } in
  t.next <- t.next + 1;
  Hashtbl.replace t.places p.id p;
  p
