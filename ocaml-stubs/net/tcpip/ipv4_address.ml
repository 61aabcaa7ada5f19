open Mirust_net_engine

let use ?(claim = false) ip arp ~cidr ?gateway () =
  let routes = Routes.add_address cidr Routes.empty in
  let everywhere = Ipaddr.V4.Prefix.global in
  let routes =
    match gateway with
    | None -> routes
    | Some gateway -> Routes.add_route everywhere ~gateway routes
  in
  Ipv4_core.set_routes ip routes;
  let address = Ipaddr.V4.Prefix.address cidr in
  (* A renewed lease is not announced again. *)
  if Arp_core.get_ips arp = [ address ] then Lwt.return_unit
  else if claim then (
    Arp_core.claim_ip arp address;
    Lwt.return_unit)
  else Arp_core.set_ips arp [ address ]

let drop ip arp =
  Ipv4_core.set_routes ip Routes.empty;
  Arp_core.set_ips arp []
