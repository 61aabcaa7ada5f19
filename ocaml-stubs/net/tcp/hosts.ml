open Block

(* The hosts of a place in the table are a chain that ends in [no_host]. *)
type t = {
  secret : int; (* odd *)
  mutable bits : int; (* the table has 2^bits places *)
  mutable table : host array;
  mutable length : int;
  mutable total : int;
  mutable most : host;
}

let first_bits = 4

let create ~secret =
  {
    secret = secret lor 1;
    bits = first_bits;
    table = Array.make (1 lsl first_bits) no_host;
    length = 0;
    total = 0;
    most = no_host;
  }

(* The first bit of a network is lost: no address with it is anybody's but on the same link, and then the network
   without it is nobody's. Neither is ::/32, where the addresses of IPv4 are. *)
let key : Ipaddr.t -> int = function
  | V4 a -> Int32.to_int (Ipaddr.V4.to_int32 a) land 0xffff_ffff
  | V6 a -> Int64.to_int (String.get_int64_be (Ipaddr.V6.to_octets a) 0)

(* As in [Table]: the highest bits of a product with a secret. *)
let index t key = (key * t.secret) lsr (Sys.int_size - t.bits)

let find t key =
  let rec search h = if h == no_host || h.key = key then h else search h.chain in
  search t.table.(index t key)

let count t address = (find t (key address)).count
let total t = t.total
let most t = t.most
let saw t host = if host.count > t.most.count then t.most <- host

let link t h =
  let i = index t h.key in
  h.chain <- t.table.(i);
  t.table.(i) <- h

let rec move t h =
  if h != no_host then (
    let rest = h.chain in
    link t h;
    move t rest)

let grow t =
  if t.length >= 2 * Array.length t.table then (
    let old = t.table in
    t.table <- Array.make (4 * Array.length old) no_host;
    t.bits <- t.bits + 2;
    (* Nothing is allocated on the way: memory that ended here would take hosts out of the table. *)
    for i = 0 to Array.length old - 1 do
      move t (Array.unsafe_get old i)
    done)

let rec unlink_after before h =
  if before.chain == h then before.chain <- h.chain
  else if before != no_host then unlink_after before.chain h

let unlink t h =
  let i = index t h.key in
  if t.table.(i) == h then t.table.(i) <- h.chain else unlink_after t.table.(i) h;
  h.chain <- no_host;
  t.length <- t.length - 1

let make t key =
  (* First: nothing has happened if there is no memory for that. *)
  grow t;
  let h = { key; count = 0; chain = no_host; next = no_place } in
  link t h;
  t.length <- t.length + 1;
  h

let add t place address =
  let key = key address in
  let known = find t key in
  let host = if known == no_host then make t key else known in
  (* From here on nothing is allocated. *)
  (if host.count = 0 then (
     place.older <- place;
     place.newer <- place;
     host.next <- place)
   else
     let next = host.next in
     place.older <- next.older;
     place.newer <- next;
     next.older.newer <- place;
     next.older <- place);
  place.host <- host;
  host.count <- host.count + 1;
  t.total <- t.total + 1;
  saw t host

let remove t place =
  let host = place.host in
  if host != no_host then (
    place.host <- no_host;
    if host.next == place then host.next <- place.newer;
    place.older.newer <- place.newer;
    place.newer.older <- place.older;
    place.older <- no_place;
    place.newer <- no_place;
    host.count <- host.count - 1;
    t.total <- t.total - 1;
    if host.count = 0 then (
      host.next <- no_place;
      unlink t host))
