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

(* Patience in nanoseconds, as in ffi/src/patience.rs: with a client that was never served, and for each time that one
   was served. A crowd comes within a moment, so known clients get a hundred times the patience of unknown ones.
   With one that is in the middle of something it is a hundredth of its own and a stranger's, but all its own up to a
   second, so that nobody who is known makes room for a crowd that comes while it is served.
   Hundreds of requests in one burst, or one at once, make nobody known: the patience is at most a tenth of a second
   and ten times as long as the client has been there. *)
let with_a_stranger = 1e7
let for_each_time = 1e9
let most_times = 600
let at_first = 1e8
let times_as_long = 10.
let in_the_middle = 0.01
let soon = 1e9

(* Hundreds may come in one turn, and none of them has been idle then: each counts as if it had been for so long, or those
   who are known would have to go. *)
let a_moment = 5e6
let between earlier later = Int64.to_float (Int64.sub later earlier)

(* How much of the patience with a client is used up. *)
let tried p ~now =
  let earned = for_each_time *. float_of_int (min most_times p.times) in
  let own = Float.min earned (at_first +. (times_as_long *. between p.came p.active)) in
  let in_the_middle = Float.max (with_a_stranger +. (in_the_middle *. own)) (Float.min own soon) in
  let patience = if p.busy || p.times = 0 then in_the_middle else own in
  (between p.active now +. a_moment) /. patience

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
