module P = Ipaddr.V4.Prefix

type t = { addresses : P.t list; routes : (P.t * Ipaddr.V4.t) list }

let empty = { addresses = []; routes = [] }
let same a b = Ipaddr.V4.compare a b = 0
let first_octet a = Mirust_wire.Field.int_of_v4 a lsr 24
let is_loopback a = first_octet a = 127
let is_this_network a = first_octet a = 0
let is_reserved a = first_octet a >= 240
let addresses t = t.addresses
let on_link t a = List.exists (P.mem a) t.addresses

let add_address cidr t =
  let others = List.filter (fun c -> not (same (P.address c) (P.address cidr))) t.addresses in
  { t with addresses = others @ [ cidr ] }

let remove_address a t =
  let addresses = List.filter (fun c -> not (same (P.address c) a)) t.addresses in
  let t = { t with addresses } in
  { t with routes = List.filter (fun (_, gateway) -> on_link t gateway) t.routes }

(* Longest prefix first. *)
let add_route prefix ~gateway t =
  let prefix = P.prefix prefix in
  let others = List.filter (fun (p, _) -> P.compare p prefix <> 0) t.routes in
  let longer (a, _) (b, _) = Int.compare (P.bits b) (P.bits a) in
  { t with routes = List.stable_sort longer ((prefix, gateway) :: others) }

type next_hop = Link of Ipaddr.V4.t | Broadcast | Multicast | Local
type error = No_address | No_gateway | No_such_source | Not_a_destination

let pp_error ppf e =
  Fmt.string ppf
    (match e with
    | No_address -> "no address configured"
    | No_gateway -> "no gateway"
    | No_such_source -> "the source is not an address of ours"
    | Not_a_destination -> "not an address of a host")

let is_own t a = List.exists (fun c -> same (P.address c) a) t.addresses
let is_local t a = is_loopback a || is_own t a

(* Prefixes of 31 bits have no broadcast address (RFC 3021), those of 32 no other host. *)
let is_broadcast t a =
  same a Ipaddr.V4.broadcast
  || List.exists (fun c -> P.bits c < 31 && same a (P.broadcast c)) t.addresses

let is_group t a = is_broadcast t a || Ipaddr.V4.is_multicast a

let is_for_us t a =
  is_own t a || is_group t a || (t.addresses = [] && not (is_loopback a || is_this_network a))

(* No host sends from such an address (RFC 1122 section 3.2.1.3, RFC 1112 section 4); one of ours did
   not come from elsewhere. *)
let is_martian t a =
  let first = first_octet a in
  first >= 224 || first = 127 || first = 0 || is_own t a || is_broadcast t a

let check_host c =
  let a = P.address c in
  let refuse why = Error (Fmt.str "%a cannot be a host's address: %s" P.pp c why) in
  if P.bits c = 0 then refuse "the prefix is everything"
  else if is_this_network a then refuse "0.0.0.0/8 is nobody's"
  else if is_loopback a then refuse "it is of the loopback network"
  else if Ipaddr.V4.is_multicast a then refuse "it is a multicast group"
  else if is_reserved a then refuse "240.0.0.0/4 is reserved"
  else if P.bits c < 31 && same a (P.network c) then refuse "it is the network's own"
  else if P.bits c < 31 && same a (P.broadcast c) then
    refuse "it is the network's broadcast address"
  else Ok ()

let check_gateway c gateway =
  if same gateway (P.address c) then
    Error (Fmt.str "%a cannot be the gateway: it is our own address" Ipaddr.V4.pp gateway)
  else
    (* Within the prefix it is a host like ourselves. *)
    match check_host (if P.mem gateway c then P.make (P.bits c) gateway else P.make 32 gateway) with
    | Ok () -> Ok ()
    | Error why -> Error ("the gateway: " ^ why)

let longest a cidrs =
  List.fold_left
    (fun best c ->
      match best with
      | Some b when P.bits b >= P.bits c -> best
      | Some _ | None -> if P.mem a c then Some c else best)
    None cidrs

let lookup ?src t dst =
  let from default (hop : next_hop) =
    let usable a =
      match hop with
      | Local -> is_local t a
      | Broadcast -> is_own t a || (same a Ipaddr.V4.any && same dst Ipaddr.V4.broadcast)
      | Link _ | Multicast -> is_own t a
    in
    match src with
    | None -> Ok (default, hop)
    | Some a -> if usable a then Ok (a, hop) else Error No_such_source
  in
  if is_local t dst then from dst Local
  else
    match t.addresses with
    | [] when same dst Ipaddr.V4.broadcast -> from Ipaddr.V4.any Broadcast
    | [] -> Error No_address
    | first :: _ -> (
        if Ipaddr.V4.is_multicast dst then from (P.address first) Multicast
        else if same dst Ipaddr.V4.broadcast then
          from (P.address (Option.value (longest dst t.addresses) ~default:first)) Broadcast
        else if is_this_network dst || is_reserved dst then Error Not_a_destination
        else
          match longest dst t.addresses with
          | Some c -> from (P.address c) (if is_broadcast t dst then Broadcast else Link dst)
          | None -> (
              match List.find_opt (fun (p, _) -> P.mem dst p) t.routes with
              | None -> Error No_gateway
              | Some (_, gateway) ->
                  let near = match longest gateway t.addresses with Some c -> c | None -> first in
                  from (P.address near) (Link gateway)))
