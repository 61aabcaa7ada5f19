type piece = {
  mutable seq : Seq.t;
  mutable len : int;
  syn : bool;
  mutable fin : bool;
  mutable payload : Cstruct.t list;
  mutable sent_at : int;
  mutable sends : int;
  mutable sacked : bool;
  mutable lost : bool;
  mutable next : piece;
}

(* Also fills unused places of the ring, so that they keep no payload alive. *)
let rec none =
  {
    seq = 0;
    len = 0;
    syn = false;
    fin = false;
    payload = [];
    sent_at = 0;
    sends = 0;
    sacked = false;
    lost = false;
    next = none;
  }

module By_seq = Map.Make (struct
  type t = Seq.t

  let compare a b = Seq.diff a b
end)

(* Pieces form a list. The ring holds those that were sent as they are; what was split off them later
   comes behind each in the list only, so that a split moves nothing. A piece is sent as so few
   segments that the way from one of the ring to its last part is short. *)
type t = {
  mutable ring : piece array; (* the size is 0 or a power of two *)
  mutable head : int;
  mutable anchors : int; (* pieces in the ring *)
  mutable tail : piece; (* if there is any *)
  mutable count : int;
  mutable in_network : int;
  mutable sacked : int;
  mutable lost : int;
  mutable lost_pieces : piece By_seq.t;
  mutable runs : Seq.t By_seq.t; (* of what is sacked: from the left edge to the right one *)
  mutable original : piece; (* none before it is under way and was sent once *)
  resent : (piece * int) Queue.t; (* with [sends]: another number now, and the entry is void *)
}

let create () =
  {
    ring = [||];
    head = 0;
    anchors = 0;
    tail = none;
    count = 0;
    in_network = 0;
    sacked = 0;
    lost = 0;
    lost_pieces = By_seq.empty;
    runs = By_seq.empty;
    original = none;
    resent = Queue.create ();
  }

let is_empty t = t.count = 0
let count t = t.count
let in_network t = t.in_network
let sacked (t : t) = t.sacked
let lost (t : t) = t.lost
let at t i = (t.head + i) land (Array.length t.ring - 1)
let anchor t i = t.ring.(at t i)
let first t = if t.count = 0 then none else anchor t 0
let last t = if t.count = 0 then none else t.tail
let seq_length p = p.len + if p.syn || p.fin then 1 else 0
let seq_end p = Seq.add p.seq (seq_length p)

let iter t f =
  let rec go p =
    if p != none then (
      let next = p.next in
      f p;
      go next)
  in
  go (first t)

let compact ~device t = iter t (fun p -> p.payload <- Pinned.compact ~device p.payload)

let grow t =
  let size = Array.length t.ring in
  if t.anchors = size then (
    let ring = Array.make (Int.max 4 (2 * size)) none in
    for i = 0 to t.anchors - 1 do
      ring.(i) <- anchor t i
    done;
    t.ring <- ring;
    t.head <- 0)

(* Adds the piece's octets to the totals ([sign] 1), or takes them out (-1). A piece is counted in
   exactly one of them. *)
let account (t : t) (p : piece) sign =
  let n = sign * seq_length p in
  if p.sacked then t.sacked <- t.sacked + n
  else if p.lost then t.lost <- t.lost + n
  else t.in_network <- t.in_network + n

let add t ~seq ~len ~syn ~fin payload ~now =
  let p =
    {
      seq;
      len;
      syn;
      fin;
      payload;
      sent_at = now;
      sends = 1;
      sacked = false;
      lost = false;
      next = none;
    }
  in
  grow t;
  t.ring.(at t t.anchors) <- p;
  t.anchors <- t.anchors + 1;
  if t.count > 0 then t.tail.next <- p;
  t.tail <- p;
  t.count <- t.count + 1;
  if t.original == none then t.original <- p;
  account t p 1;
  p

let find t seq =
  (* Finds the last piece in the ring that begins at or before [seq], then searches its parts. *)
  let rec search low high =
    if low >= high then low
    else
      let middle = (low + high) / 2 in
      if Seq.gt (anchor t middle).seq seq then search low middle else search (middle + 1) high
  in
  let rec walk p = if p != none && Seq.leq (seq_end p) seq then walk p.next else p in
  if t.count = 0 then none else walk (anchor t (max 0 (search 0 t.anchors - 1)))

let rec take views n =
  match views with
  | [] -> ([], [])
  | _ when n = 0 -> ([], views)
  | v :: rest ->
      let length = Cstruct.length v in
      if length <= n then
        let first, second = take rest (n - length) in
        (v :: first, second)
      else ([ Cstruct.sub v 0 n ], Cstruct.shift v n :: rest)

let rec part views ~off n =
  match views with
  | [] -> []
  | view :: rest ->
      let here = Int.min n (Cstruct.length view - off) in
      let whole = off = 0 && here = Cstruct.length view in
      let piece = if whole then view else Cstruct.sub view off here in
      piece :: (if here = n then [] else part rest ~off:0 (n - here))

let note_resent t p = Queue.push (p, p.sends) t.resent

let split t (p : piece) n =
  let first, second = take p.payload n in
  (* The totals stay: SYN is never cut (it carries no payload), FIN goes with the tail. *)
  let behind = { p with seq = Seq.add p.seq n; len = p.len - n; payload = second } in
  p.len <- n;
  p.payload <- first;
  p.fin <- false;
  p.next <- behind;
  if t.tail == p then t.tail <- behind;
  t.count <- t.count + 1;
  if p.lost then t.lost_pieces <- By_seq.add behind.seq behind t.lost_pieces;
  if p.sends > 1 then note_resent t behind;
  behind

let is_lost_no_more t (p : piece) =
  if p.lost then t.lost_pieces <- By_seq.remove p.seq t.lost_pieces

(* The oldest piece goes. What else refers to it finds out by [sends], and keeps no payload. *)
let pop t f x y =
  let p = anchor t 0 in
  let next = p.next in
  account t p (-1);
  is_lost_no_more t p;
  if t.original == p then t.original <- next;
  if t.anchors = 1 || next != anchor t 1 then t.ring.(t.head) <- next
  else (
    t.ring.(t.head) <- none;
    t.head <- at t 1;
    t.anchors <- t.anchors - 1);
  t.count <- t.count - 1;
  if t.count = 0 then t.anchors <- 0;
  f x y p;
  p.sends <- 0;
  p.payload <- [];
  if next != none then p.next <- none

(* The first [n] octets of the oldest piece go, and what is behind them stays the same piece, if only a
   FIN. *)
let trim t (p : piece) n f x y =
  let first, second = take p.payload n in
  f x y { p with len = n; fin = false; payload = first; next = none };
  account t p (-1);
  is_lost_no_more t p;
  p.seq <- Seq.add p.seq n;
  p.len <- p.len - n;
  p.payload <- second;
  if p.lost then t.lost_pieces <- By_seq.add p.seq p t.lost_pieces;
  account t p 1

let rec acknowledge_from t ackno f x y octets =
  if t.count = 0 then octets
  else
    let p = anchor t 0 in
    if Seq.leq (seq_end p) ackno then (
      let n = p.len in
      pop t f x y;
      acknowledge_from t ackno f x y (octets + n))
    else
      let n = Seq.diff ackno p.seq in
      if n > 0 then (
        trim t p n f x y;
        octets + n)
      else octets

let rec forget_runs t ackno =
  match By_seq.min_binding_opt t.runs with
  | Some (left, right) when Seq.leq right ackno ->
      t.runs <- By_seq.remove left t.runs;
      forget_runs t ackno
  | Some _ | None -> ()

let acknowledge t ackno f x y =
  if not (By_seq.is_empty t.runs) then forget_runs t ackno;
  acknowledge_from t ackno f x y 0

(* ---- Marks ---- *)

let extend_runs t left right =
  let left =
    match By_seq.find_last_opt (fun l -> Seq.lt l left) t.runs with
    | Some (l, r) when r = left -> l
    | Some _ | None -> left
  in
  let right =
    match By_seq.find_opt right t.runs with
    | Some r ->
        t.runs <- By_seq.remove right t.runs;
        r
    | None -> right
  in
  t.runs <- By_seq.add left right t.runs

let mark_sacked t (p : piece) =
  if not p.sacked then (
    account t p (-1);
    is_lost_no_more t p;
    p.lost <- false;
    p.sacked <- true;
    extend_runs t p.seq (seq_end p);
    account t p 1)

let mark_lost t (p : piece) =
  if not (p.sacked || p.lost) then (
    account t p (-1);
    p.lost <- true;
    t.lost_pieces <- By_seq.add p.seq p t.lost_pieces;
    account t p 1)

let mark_sent t p ~now =
  account t p (-1);
  is_lost_no_more t p;
  p.lost <- false;
  account t p 1;
  p.sent_at <- now;
  p.sends <- p.sends + 1;
  note_resent t p

let run_end t seq =
  match By_seq.find_last_opt (fun left -> Seq.leq left seq) t.runs with
  | Some (_, right) when Seq.gt right seq -> right
  | Some _ | None -> seq

let run_after t seq ~limit =
  match By_seq.find_first_opt (fun left -> Seq.gt left seq) t.runs with
  | Some (left, _) when Seq.lt left limit -> left
  | Some _ | None -> limit

let first_lost t = match By_seq.min_binding_opt t.lost_pieces with Some (_, p) -> p | None -> none
let under_way (p : piece) = not (p.sacked || p.lost)

let rec oldest_original t =
  let p = t.original in
  if p == none || (p.sends = 1 && under_way p) then p
  else (
    t.original <- p.next;
    oldest_original t)

let rec oldest_resent t =
  match Queue.peek_opt t.resent with
  | None -> none
  | Some (p, sends) when p.sends = sends && under_way p -> p
  | Some _ ->
      ignore (Queue.pop t.resent : piece * int);
      oldest_resent t

(* The piece is under way again. *)
let restore t (p : piece) =
  if p.sends > 1 then note_resent t p
  else if t.original == none || Seq.lt p.seq t.original.seq then t.original <- p

let forget_sacks t =
  t.runs <- By_seq.empty;
  iter t (fun (p : piece) ->
      if p.sacked then (
        account t p (-1);
        p.sacked <- false;
        account t p 1;
        restore t p))

let forget_losses t =
  let pieces = t.lost_pieces in
  t.lost_pieces <- By_seq.empty;
  By_seq.iter
    (fun _ (p : piece) ->
      account t p (-1);
      p.lost <- false;
      account t p 1;
      restore t p)
    pieces

let octets t =
  let sum = ref 0 in
  iter t (fun p -> sum := !sum + p.len);
  !sum

let octets_at_most t n = t.count = 1 && t.tail.len <= n

let drop_all t =
  t.ring <- [||];
  t.head <- 0;
  t.anchors <- 0;
  t.tail <- none;
  t.count <- 0;
  t.in_network <- 0;
  t.sacked <- 0;
  t.lost <- 0;
  t.lost_pieces <- By_seq.empty;
  t.runs <- By_seq.empty;
  t.original <- none;
  if not (Queue.is_empty t.resent) then Queue.clear t.resent
