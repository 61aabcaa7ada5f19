type 'addr t = { capacity : int; minimum : int; table : ('addr, int * int) Hashtbl.t }

let lifetime = 600_000_000_000
let create ?(capacity = 1024) ~minimum () = { capacity; minimum; table = Hashtbl.create 8 }

let get t ~now dst ~link =
  if Hashtbl.length t.table = 0 then link
  else
    match Hashtbl.find_opt t.table dst with
    | Some (mtu, until) when now < until -> min mtu link
    | Some _ ->
        Hashtbl.remove t.table dst;
        link
    | None -> link

let lower t ~now dst mtu ~link =
  let mtu = max t.minimum mtu in
  if mtu >= get t ~now dst ~link then false
  else (
    (* Forgetting all of them costs each path one lost packet. *)
    if Hashtbl.length t.table >= t.capacity then Hashtbl.reset t.table;
    Hashtbl.replace t.table dst (mtu, now + lifetime);
    true)
