type pair = { src : Ipaddr.V4.t; dst : Ipaddr.V4.t }

type place = {
  mutable src_number : int;
  mutable dst_number : int;
  mutable routes : int;
  mutable pair : pair option;
}

type t = place array

(* Each pair of addresses has one fixed place. A sender that uses many source addresses makes us check them again each
   time, but nothing grows. *)
let places = 64

let create () =
  Array.init places (fun _ -> { src_number = -1; dst_number = -1; routes = -1; pair = None })

let place_of t src = t.(src lxor (src lsr 8) lxor (src lsr 16) land (places - 1))

let find t ~routes ~src ~dst ~check =
  let place = place_of t src in
  if not (place.src_number = src && place.dst_number = dst && place.routes = routes) then (
    let pair = { src = Mirust_wire.Field.v4_of_int src; dst = Mirust_wire.Field.v4_of_int dst } in
    place.src_number <- src;
    place.dst_number <- dst;
    place.routes <- routes;
    place.pair <- (if check ~src:pair.src ~dst:pair.dst then Some pair else None));
  place.pair
