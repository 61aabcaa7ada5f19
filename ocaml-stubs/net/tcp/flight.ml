type piece = {
  mutable seq : Seq.t;
  mutable len : int;
  mutable syn : bool;
  mutable fin : bool;
  mutable payload : Cstruct.t list;
  mutable sent_at : int;
  mutable sends : int;
  mutable sacked : bool;
  mutable lost : bool;
}

type t = {
  mutable ring : piece array; (* the size is 0 or a power of two *)
  mutable head : int;
  mutable count : int;
  mutable in_network : int;
  mutable sacked : int;
  mutable lost : int;
}

(* Fills unused places of the ring, so that they keep no payload alive. *)
let none =
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
  }

let create () = { ring = [||]; head = 0; count = 0; in_network = 0; sacked = 0; lost = 0 }
let is_empty t = t.count = 0
let count t = t.count
let in_network t = t.in_network
let sacked (t : t) = t.sacked
let lost (t : t) = t.lost
let at t i = (t.head + i) land (Array.length t.ring - 1)
let get t i = t.ring.(at t i)
let seq_length p = p.len + if p.syn || p.fin then 1 else 0
let seq_end p = Seq.add p.seq (seq_length p)

let grow t =
  let size = Array.length t.ring in
  if t.count = size then (
    let ring = Array.make (max 4 (2 * size)) none in
    for i = 0 to t.count - 1 do
      ring.(i) <- get t i
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

let push t p =
  grow t;
  t.ring.(at t t.count) <- p;
  t.count <- t.count + 1;
  account t p 1

let find t seq =
  let rec search low high =
    if low >= high then low
    else
      let middle = (low + high) / 2 in
      if Seq.gt (seq_end (get t middle)) seq then search low middle else search (middle + 1) high
  in
  search 0 t.count

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

let split t i n =
  let p = get t i in
  let first, second = take p.payload n in
  let tail = { p with seq = Seq.add p.seq n; len = p.len - n; payload = second } in
  (* The totals stay: SYN is never cut (it carries no payload), FIN goes with the tail. *)
  p.len <- n;
  p.payload <- first;
  p.fin <- false;
  grow t;
  for j = t.count downto i + 2 do
    t.ring.(at t j) <- t.ring.(at t (j - 1))
  done;
  t.ring.(at t (i + 1)) <- tail;
  t.count <- t.count + 1

let pop t =
  let p = get t 0 in
  account t p (-1);
  t.ring.(t.head) <- none;
  t.head <- at t 1;
  t.count <- t.count - 1;
  p

let rec acknowledge_from t ackno f octets =
  if t.count = 0 then octets
  else
    let p = get t 0 in
    if Seq.leq (seq_end p) ackno then (
      let p = pop t in
      f p;
      acknowledge_from t ackno f (octets + p.len))
    else
      let n = Seq.diff ackno p.seq in
      if n > 0 && n < p.len then (
        split t 0 n;
        acknowledge_from t ackno f octets)
      else if n > 0 then (
        (* All of the payload, but not the FIN behind it. *)
        let payload = p.len in
        account t p (-1);
        p.seq <- ackno;
        p.len <- 0;
        p.payload <- [];
        account t p 1;
        octets + payload)
      else octets

let acknowledge t ackno f = acknowledge_from t ackno f 0

let change t (p : piece) f =
  account t p (-1);
  f p;
  account t p 1

let mark_sacked t (p : piece) =
  if not p.sacked then change t p (fun (p : piece) -> p.sacked <- true)

let mark_lost t (p : piece) =
  if not (p.sacked || p.lost) then change t p (fun (p : piece) -> p.lost <- true)

let mark_sent t p ~now =
  change t p (fun (p : piece) -> p.lost <- false);
  p.sent_at <- now;
  p.sends <- p.sends + 1

let iter t f =
  for i = 0 to t.count - 1 do
    f (get t i)
  done

let forget_sacks t =
  iter t (fun (p : piece) -> if p.sacked then change t p (fun (p : piece) -> p.sacked <- false))

let forget_losses t =
  iter t (fun (p : piece) -> if p.lost then change t p (fun (p : piece) -> p.lost <- false))

let octets t =
  let sum = ref 0 in
  iter t (fun p -> sum := !sum + p.len);
  !sum

let octets_at_most t n = t.count = 1 && (get t 0).len <= n

let drop_all t =
  t.ring <- [||];
  t.head <- 0;
  t.count <- 0;
  t.in_network <- 0;
  t.sacked <- 0;
  t.lost <- 0
