module P = Ipaddr.V4.Prefix

type t = { addresses : P.t list; routes : (P.t * Ipaddr.V4.t) list }

let empty = { addresses = []; routes = [] }
let same a b = Ipaddr.V4.compare a b = 0
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
type error = No_address | No_gateway | Not_a_destination

let pp_error ppf e =
  Fmt.string ppf
    (match e with
    | No_address -> "no address configured"
    | No_gateway -> "no gateway"
    | Not_a_destination -> "not an address of a host")

let is_local t a = List.exists (fun c -> same (P.address c) a) t.addresses

(* Prefixes of 31 bits have no broadcast address (RFC 3021), those of 32 no other host. *)
let is_broadcast t a =
  same a Ipaddr.V4.broadcast
  || List.exists (fun c -> P.bits c < 31 && same a (P.broadcast c)) t.addresses

let is_for_us t a = is_local t a || is_broadcast t a || Ipaddr.V4.is_multicast a || t.addresses = []

let longest a cidrs =
  List.fold_left
    (fun best c ->
      match best with
      | Some b when P.bits b >= P.bits c -> best
      | Some _ | None -> if P.mem a c then Some c else best)
    None cidrs

let lookup ?src t dst =
  let from default hop = Ok (Option.value src ~default, hop) in
  match t.addresses with
  | [] when same dst Ipaddr.V4.broadcast -> from Ipaddr.V4.any Broadcast
  | [] -> Error No_address
  | first :: _ -> (
      if same dst Ipaddr.V4.any then Error Not_a_destination
      else if is_local t dst then from dst Local
      else if Ipaddr.V4.is_multicast dst then from (P.address first) Multicast
      else
        match longest dst t.addresses with
        | Some c -> from (P.address c) (if is_broadcast t dst then Broadcast else Link dst)
        | None when same dst Ipaddr.V4.broadcast -> from (P.address first) Broadcast
        | None -> (
            match List.find_opt (fun (p, _) -> P.mem dst p) t.routes with
            | None -> Error No_gateway
            | Some (_, gateway) ->
                let near = match longest gateway t.addresses with Some c -> c | None -> first in
                from (P.address near) (Link gateway)))
