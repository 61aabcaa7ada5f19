type 'a t = {
  nothing : 'a;
  mutable places : 'a array; (* the size is a power of two *)
  mutable head : int;
  mutable length : int;
  mutable most : int; (* that there were since it was empty *)
}

let least = 16
let create nothing = { nothing; places = Array.make least nothing; head = 0; length = 0; most = 0 }
let length t = t.length
let is_empty t = t.length = 0
let place t i = (t.head + i) land (Array.length t.places - 1)

(* Nothing is changed before all that can run out of memory. *)
let resize t size =
  let places = Array.make size t.nothing in
  for i = 0 to t.length - 1 do
    places.(i) <- t.places.(place t i)
  done;
  t.places <- places;
  t.head <- 0

let push t x =
  if t.length = Array.length t.places then resize t (2 * t.length);
  t.places.(place t t.length) <- x;
  t.length <- t.length + 1;
  if t.length > t.most then t.most <- t.length

let first t =
  assert (t.length > 0);
  t.places.(t.head)

(* Shrinks the array only if much less than its size was used since it was last empty, so that bursts in turn after turn
   find the room that they had. Without memory for a smaller array, the large one stays. *)
let emptied t =
  let size = Array.length t.places in
  (if size > least && t.most <= size / 4 then try resize t (size / 2) with Out_of_memory -> ());
  t.most <- 0

let pop t =
  let x = first t in
  (* The array must not keep the element alive. *)
  t.places.(t.head) <- t.nothing;
  t.head <- place t 1;
  t.length <- t.length - 1;
  if t.length = 0 then emptied t;
  x
