open Block

(* The hosts of a place in the table are a chain that ends in [no_host]. Who has nothing any more stays until there is no
   room: most come again. *)
type t = {
  secret : int; (* odd *)
  mutable bits : int; (* the table has 2^bits places, and no more hosts *)
  mutable table : host array;
  mutable length : int;
  mutable live : int; (* that have a connection *)
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
    live = 0;
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
  t.table.(i) <- h;
  t.length <- t.length + 1

let rec keep_live t h =
  if h != no_host then (
    let rest = h.chain in
    if h.count > 0 then link t h;
    keep_live t rest)

(* So that no more than four times as many are kept as have a connection, or had at a time. *)
let make_room t =
  let old = t.table in
  let size = Array.length old in
  if t.length >= size then (
    let more = if 2 * t.live >= size then 1 else 0 in
    t.table <- Array.make (size lsl more) no_host;
    t.bits <- t.bits + more;
    t.length <- 0;
    (* Nothing is allocated on the way: memory that ended here would take hosts out of the table. *)
    for i = 0 to size - 1 do
      keep_live t (Array.unsafe_get old i)
    done)

let make t key =
  (* First: nothing has happened if there is no memory for that. *)
  make_room t;
  let h = { key; count = 0; chain = no_host; next = no_place } in
  link t h;
  h

let add t place address =
  let key = key address in
  let known = find t key in
  let host = if known == no_host then make t key else known in
  (* From here on nothing is allocated. *)
  (if host.count = 0 then (
     t.live <- t.live + 1;
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
    host.count <- host.count - 1;
    t.total <- t.total - 1;
    if host.count = 0 then (
      host.next <- no_place;
      t.live <- t.live - 1)
    else (
      if host.next == place then host.next <- place.newer;
      place.older.newer <- place.newer;
      place.newer.older <- place.older;
      (* What has gone keeps nobody in memory. *)
      place.older <- no_place;
      place.newer <- no_place))
