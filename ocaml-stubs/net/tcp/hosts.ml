open Block

(* The hosts in one bucket of the table are a chain that ends in [no_host]. A host without connections stays until its
   room is needed, since most hosts come back. *)
type table = {
  secret : int; (* odd *)
  mutable bits : int; (* the table has 2^bits places, and no more hosts *)
  mutable places : host array;
  mutable length : int;
  mutable live : int; (* that have a connection *)
}

type t = {
  hosts : table;
  networks : table;
  mutable total : int;
  mutable most : host;
  mutable most_of_networks : host;
}

let first_bits = 4

let table secret =
  {
    secret;
    bits = first_bits;
    places = Array.make (1 lsl first_bits) no_host;
    length = 0;
    live = 0;
  }

let create ~secret =
  let secret = secret lor 1 in
  {
    hosts = table secret;
    networks = table secret;
    total = 0;
    most = no_host;
    most_of_networks = no_host;
  }

(* An OCaml integer loses the first bit of an IPv6 network. That is harmless: only local and multicast addresses have
   it, and without it they collide with no network that is assigned. Neither does ::/32, where IPv4 addresses are put.
   *)
let key : Ipaddr.t -> int = function
  | V4 a -> Int32.to_int (Ipaddr.V4.to_int32 a) land 0xffff_ffff
  | V6 a -> Int64.to_int (String.get_int64_be (Ipaddr.V6.to_octets a) 0)

(* The smallest network that is commonly assigned to one party and routed: 24 bits of IPv4, 48 of IPv6. *)
let network_key (address : Ipaddr.t) =
  match address with V4 _ -> key address asr 8 | V6 _ -> key address asr 16

(* As in [Table]: the highest bits of a product with a secret. *)
let index t key = (key * t.secret) lsr (Sys.int_size - t.bits)

let find t key =
  let rec search h = if h == no_host || h.key = key then h else search h.chain in
  search t.places.(index t key)

let count t address = (find t.hosts (key address)).count
let count_of_network t address = (find t.networks (network_key address)).count
let total t = t.total
let most t = t.most
let most_of_networks t = t.most_of_networks

let saw t host =
  let network = host.network in
  if host.count > t.most.count then t.most <- host;
  if host.count > network.most.count then network.most <- host;
  if network.count > t.most_of_networks.count then t.most_of_networks <- network

let link t h =
  let i = index t h.key in
  h.chain <- t.places.(i);
  t.places.(i) <- h;
  t.length <- t.length + 1

let rec keep_live t h =
  if h != no_host then (
    let rest = h.chain in
    if h.count > 0 then link t h else h.chain <- no_host;
    keep_live t rest)

(* Makes room in a full table: drops hosts without connections, and doubles it if at least half have some. So at most
   four times as many hosts are kept as have connections, or had at one time. *)
let make_room t =
  let old = t.places in
  let size = Array.length old in
  if t.length >= size then (
    let more = if 2 * t.live >= size then 1 else 0 in
    t.places <- Array.make (size lsl more) no_host;
    t.bits <- t.bits + more;
    t.length <- 0;
    (* Nothing is allocated on the way: memory that ended here would take hosts out of the table. *)
    for i = 0 to size - 1 do
      keep_live t (Array.unsafe_get old i)
    done)

let known t key =
  let h = find t key in
  if h != no_host then h
  else (
    (* First: nothing has happened if there is no memory for that. *)
    make_room t;
    let h =
      { key; count = 0; chain = no_host; next = no_place; network = no_host; most = no_host }
    in
    link t h;
    h)

let grow t h =
  if h.count = 0 then t.live <- t.live + 1;
  h.count <- h.count + 1

let shrink t h =
  h.count <- h.count - 1;
  if h.count = 0 then t.live <- t.live - 1

let add t place address =
  let network = known t.networks (network_key address) in
  let host = known t.hosts (key address) in
  (* From here on nothing is allocated. *)
  (if host.count = 0 then (
     (* Its network may have been forgotten meanwhile, and be another one. *)
     host.network <- network;
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
  grow t.hosts host;
  grow t.networks network;
  t.total <- t.total + 1;
  saw t host

let remove t place =
  let host = place.host in
  if host != no_host then (
    place.host <- no_host;
    shrink t.hosts host;
    shrink t.networks host.network;
    t.total <- t.total - 1;
    if host.count = 0 then host.next <- no_place
    else (
      if host.next == place then host.next <- place.newer;
      place.older.newer <- place.newer;
      place.newer.older <- place.older;
      (* A removed place must not keep its neighbours alive. *)
      place.older <- no_place;
      place.newer <- no_place))
