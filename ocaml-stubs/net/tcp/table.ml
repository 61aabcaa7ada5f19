type key = { local : Ipaddr.t; local_port : int; remote : Ipaddr.t; remote_port : int }

type t = {
  secret : int array; (* a factor for each 32-bit word of a key *)
  mutable bits : int; (* the array has 2^bits places *)
  mutable places : Tcb.t list array;
  mutable length : int;
  mutable last : Tcb.t option; (* most segments are for the same connection as the one before *)
}

let words = 9

let create ~random =
  let octets = random (8 * words) in
  {
    secret = Array.init words (fun i -> Int64.to_int (String.get_int64_le octets (8 * i)) lor 1);
    bits = 6;
    places = Array.make 64 [];
    length = 0;
    last = None;
  }

(* A sum of products with secret factors, of which the highest bits count: two keys that differ fall
   together by chance alone (multiply-shift, Dietzfelbinger 1996). *)
let hash_address t address first =
  match (address : Ipaddr.t) with
  | V4 a -> t.secret.(first) * (Int32.to_int (Ipaddr.V4.to_int32 a) land 0xffff_ffff)
  | V6 a ->
      let octets = Ipaddr.V6.to_octets a in
      let word i = Int32.to_int (String.get_int32_le octets (4 * i)) land 0xffff_ffff in
      (t.secret.(first) * word 0)
      + (t.secret.(first + 1) * word 1)
      + (t.secret.(first + 2) * word 2)
      + (t.secret.(first + 3) * word 3)

let hash_of t ~local ~local_port ~remote ~remote_port =
  hash_address t local 0 + hash_address t remote 4
  + (t.secret.(8) * ((remote_port lsl 16) lor local_port))

let hash t k =
  hash_of t ~local:k.local ~local_port:k.local_port ~remote:k.remote ~remote_port:k.remote_port

let place_of hash ~bits = hash lsr (Sys.int_size - bits)
let place t hash = place_of hash ~bits:t.bits

(* Without a call for IPv4. *)
let same (a : Ipaddr.t) (b : Ipaddr.t) =
  match (a, b) with
  | V4 a, V4 b -> Int32.equal (Ipaddr.V4.to_int32 a) (Ipaddr.V4.to_int32 b)
  | (V4 _ | V6 _), _ -> Ipaddr.compare a b = 0
[@@inline]

let is (c : Tcb.t) ~local ~local_port ~remote ~remote_port =
  c.remote_port = remote_port && c.local_port = local_port && same c.remote remote
  && same c.local local

let rec find_in list ~local ~local_port ~remote ~remote_port =
  match list with
  | [] -> None
  | c :: rest ->
      if is c ~local ~local_port ~remote ~remote_port then Some c
      else find_in rest ~local ~local_port ~remote ~remote_port

let find t ~local ~local_port ~remote ~remote_port =
  match t.last with
  | Some c when is c ~local ~local_port ~remote ~remote_port -> t.last
  | Some _ | None ->
      let hash = hash_of t ~local ~local_port ~remote ~remote_port in
      let found = find_in t.places.(place t hash) ~local ~local_port ~remote ~remote_port in
      (match found with Some _ -> t.last <- found | None -> ());
      found

let insert places ~bits (c : Tcb.t) =
  let i = place_of c.hash ~bits in
  places.(i) <- c :: places.(i)

(* The larger table is the one that counts when all are in it: memory may run out on the way. *)
let grow t =
  let bits = t.bits + 2 in
  let places = Array.make (1 lsl bits) [] in
  Array.iter (List.iter (insert places ~bits)) t.places;
  t.bits <- bits;
  t.places <- places

let add t c =
  if t.length >= 2 * Array.length t.places then grow t;
  insert t.places ~bits:t.bits c;
  t.length <- t.length + 1

let remove t (c : Tcb.t) =
  let i = place t c.hash in
  let found = List.memq c t.places.(i) in
  if found then (
    t.places.(i) <- List.filter (fun other -> other != c) t.places.(i);
    t.length <- t.length - 1;
    match t.last with Some last when last == c -> t.last <- None | Some _ | None -> ());
  found

let length t = t.length
let iter t f = Array.iter (List.iter f) (Array.copy t.places)

let each t env f =
  let short = ref false in
  let one c =
    try f c
    with Out_of_memory ->
      Tcb.lose env c;
      short := true
  in
  iter t one;
  if !short then raise Out_of_memory

let resting t (env : Tcb.env) ~local ~local_port ~remote ~remote_port =
  let resting = env.resting in
  if Waiting.length resting = 0 then Waiting.none
  else
    let hash = hash_of t ~local ~local_port ~remote ~remote_port in
    let e = Waiting.find resting ~hash ~local ~local_port ~remote ~remote_port in
    (* It may have expired while waiting behind others, and must then not be revived. *)
    if e != Waiting.none && e.until <= env.now then (
      Waiting.remove resting e;
      Waiting.none)
    else e

let find_or_revive t env ~local ~local_port ~remote ~remote_port =
  match find t ~local ~local_port ~remote ~remote_port with
  | Some _ as found -> found
  | None ->
      let e = resting t env ~local ~local_port ~remote ~remote_port in
      if e == Waiting.none then None
      else
        let c = Tcb.revive env e in
        add t c;
        Some c

let is_taken t env ~local ~local_port ~remote ~remote_port =
  Option.is_some (find t ~local ~local_port ~remote ~remote_port)
  || resting t env ~local ~local_port ~remote ~remote_port != Waiting.none
