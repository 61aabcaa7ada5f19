(* Views wait in [front] and [rest]. Small ones are copied to [gather] first, and its filled part
   becomes a view of its own when something else is queued or the octets are wanted. *)
type t = {
  mutable front : Cstruct.t;
  mutable rest : Cstruct.t Queue.t;
  mutable queued : int; (* octets in [front] and [rest] *)
  mutable views : int; (* in them, and one if something is gathered *)
  mutable gather : Cstruct.t;
  mutable gathered : int;
  small : int;
}

let create ~small =
  {
    front = Cstruct.empty;
    rest = Queue.create ();
    queued = 0;
    views = 0;
    gather = Cstruct.empty;
    gathered = 0;
    small;
  }

let gather_size = 2048
let octets t = t.queued + t.gathered
let is_empty t = octets t = 0
let views t = t.views

(* [view] is counted already. *)
let enqueue t view =
  if t.queued = 0 then t.front <- view else Queue.push view t.rest;
  t.queued <- t.queued + Cstruct.length view

let flush t =
  if t.gathered > 0 then (
    (* Nothing is changed before all that can run out of memory. *)
    let view = Cstruct.sub t.gather 0 t.gathered
    and left = Cstruct.shift t.gather t.gathered in
    enqueue t view;
    t.gather <- left;
    t.gathered <- 0)

let push t view =
  let n = Cstruct.length view in
  if n > 0 then
    (* The first view is never copied: a single small write goes out as it is. *)
    if n < t.small && octets t > 0 then (
      if Cstruct.length t.gather - t.gathered < n then (
        flush t;
        t.gather <- Cstruct.create_unsafe gather_size);
      Cstruct.blit view 0 t.gather t.gathered n;
      if t.gathered = 0 then t.views <- t.views + 1;
      t.gathered <- t.gathered + n)
    else (
      flush t;
      enqueue t view;
      t.views <- t.views + 1)

let next t =
  t.views <- t.views - 1;
  t.front <- (if Queue.is_empty t.rest then Cstruct.empty else Queue.pop t.rest)

let pop t ~most =
  if t.queued = 0 then flush t;
  if t.queued = 0 then None
  else
    let view = t.front in
    if Cstruct.length view <= most then (
      t.queued <- t.queued - Cstruct.length view;
      next t;
      Some view)
    else
      let first = Cstruct.sub view 0 most in
      t.front <- Cstruct.shift view most;
      t.queued <- t.queued - most;
      Some first

let rec take_queued t n =
  if n = 0 then []
  else
    let length = Cstruct.length t.front in
    if length > n then (
      let view = Cstruct.sub t.front 0 n in
      t.front <- Cstruct.shift t.front n;
      t.queued <- t.queued - n;
      [ view ])
    else
      let view = t.front in
      t.queued <- t.queued - length;
      next t;
      view :: take_queued t (n - length)

let take t n =
  if n > t.queued then flush t;
  take_queued t n

let compact ~device t =
  flush t;
  t.gather <- Cstruct.empty;
  if t.queued > 0 then
    (* As they are, until the new ones are there. *)
    let rest = Queue.create () in
    match Pinned.compact ~device (t.front :: List.of_seq (Queue.to_seq t.rest)) with
    | [] -> ()
    | front :: views ->
        List.iter (fun view -> Queue.push view rest) views;
        t.front <- front;
        t.rest <- rest;
        t.views <- 1 + Queue.length rest

let clear t =
  if t.queued > 0 then Queue.clear t.rest;
  if t.front != Cstruct.empty then t.front <- Cstruct.empty;
  t.queued <- 0;
  t.views <- 0;
  if t.gather != Cstruct.empty then t.gather <- Cstruct.empty;
  t.gathered <- 0
