(* Views in order. Whether they come in front, behind or between, it costs the same: a peer that sends single octets has
   us hold tens of thousands, and decides where the next one is put. *)
type held = View of Cstruct.t | Both of held * held

(* From the first view to the last. Trees may be as deep as there are views. *)
let rec each f = function
  | [] -> ()
  | View view :: rest ->
      f view;
      each f rest
  | Both (first, second) :: rest -> each f (first :: second :: rest)

(* A range is a run of octets without a gap. *)
type range = { left : Seq.t; mutable right : Seq.t; mutable held : held }

type t = {
  mutable list : range list; (* ascending, with gaps between them *)
  mutable octets : int;
  mutable views : int;
}

let create () = { list = []; octets = 0; views = 0 }
let is_empty t = t.list == []
let octets t = t.octets
let views t = t.views

let compact ~device t =
  let one view = match Pinned.compact ~device [ view ] with [ copy ] -> copy | _ -> view in
  let copy r =
    let held = ref None in
    let put view =
      let view = View (one view) in
      held := Some (match !held with None -> view | Some first -> Both (first, view))
    in
    each put [ r.held ];
    Option.iter (fun held -> r.held <- held) !held
  in
  List.iter copy t.list

let hold t view =
  t.octets <- t.octets + Cstruct.length view;
  t.views <- t.views + 1;
  View view

let clear t =
  t.list <- [];
  t.octets <- 0;
  t.views <- 0

(* [r] and [next], which begins at the right edge of [r], become one. *)
let join r next = { r with right = next.right; held = Both (r.held, next.held) }

(* Puts what is new of [view], from [seq] on, among [ranges]; [room] more ranges are allowed. *)
let rec place t ranges seq view room =
  let stop = Seq.add seq (Cstruct.length view) in
  if Cstruct.length view = 0 then ranges
  else
    match ranges with
    | [] -> if room = 0 then [] else [ { left = seq; right = stop; held = hold t view } ]
    | r :: rest when Seq.gt seq r.right -> r :: place t rest seq view (room - 1)
    | r :: _ when Seq.lt stop r.left ->
        if room <= List.length ranges then ranges
        else { left = seq; right = stop; held = hold t view } :: ranges
    | r :: rest when Seq.lt seq r.left ->
        (* The part before [r] touches it. *)
        let n = Seq.diff r.left seq in
        let first = hold t (Cstruct.sub view 0 n) in
        let r = { left = seq; right = r.right; held = Both (first, r.held) } in
        let behind = Seq.diff r.right seq in
        if behind >= Cstruct.length view then r :: rest
        else place t (r :: rest) r.right (Cstruct.shift view behind) room
    | r :: rest -> (
        let known = Seq.diff r.right seq in
        if known >= Cstruct.length view then ranges
        else
          (* New octets at the right edge, up to the next range. *)
          let view = Cstruct.shift view known in
          let limit =
            match rest with [] -> Cstruct.length view | next :: _ -> Seq.diff next.left r.right
          in
          let n = min limit (Cstruct.length view) in
          r.right <- Seq.add r.right n;
          r.held <- Both (r.held, hold t (Cstruct.sub view 0 n));
          match rest with
          | next :: others when next.left = r.right ->
              let r = join r next in
              let known = Seq.diff r.right (Seq.add seq known) in
              if known >= Cstruct.length view then r :: others
              else place t (r :: others) r.right (Cstruct.shift view known) room
          | _ -> r :: rest)

let insert t ~seq view ~max_ranges =
  let before = t.octets in
  t.list <- place t t.list seq view max_ranges;
  t.octets - before

let rec pop t next f =
  match t.list with
  | r :: rest when Seq.leq r.left next ->
      t.list <- rest;
      let skip = ref (Seq.diff next r.left) in
      each
        (fun view ->
          let length = Cstruct.length view in
          t.octets <- t.octets - length;
          t.views <- t.views - 1;
          if !skip >= length then skip := !skip - length
          else (
            f (if !skip > 0 then Cstruct.shift view !skip else view);
            skip := 0))
        [ r.held ];
      pop t (Seq.max next r.right) f
  | _ -> next

let ranges t = List.map (fun r -> (r.left, r.right)) t.list

let overlap t left right =
  match List.find_opt (fun r -> Seq.gt r.right left) t.list with
  | Some r when Seq.lt r.left right -> Some (Seq.max left r.left, Seq.min right r.right)
  | Some _ | None -> None

let range_at t seq =
  List.find_map
    (fun r -> if Seq.leq r.left seq && Seq.lt seq r.right then Some (r.left, r.right) else None)
    t.list
