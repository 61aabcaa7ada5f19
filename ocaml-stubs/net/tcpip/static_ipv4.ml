open Mirust_net_engine

module Make (E : Mirust_mirage_types.Ethernet.S) (A : Mirust_mirage_types.Arp.S) = struct
  include Ipv4_core

  let connect ?(no_init = false) ~cidr ?gateway ?fragment_cache_size e a =
    let resolver =
      {
        query = (fun ip -> Lwt.map (Result.map_error (fun _ -> `Timeout)) (A.query a ip));
        (* What the layer below remembers can only be had by asking it. *)
        hop = (fun _ () -> None);
        confirm_hop = ignore;
      }
    in
    let reassembly =
      match fragment_cache_size with
      | None -> Reassembly.default
      | Some memory -> { Reassembly.default with memory }
    in
    let t = create ~reassembly (Link.of_ethernet (module E) e) resolver in
    if no_init then Lwt.return t
    else
      let routes = Routes.add_address cidr Routes.empty in
      let default = Ipaddr.V4.Prefix.global in
      set_routes t
        (match gateway with
        | None -> routes
        | Some gateway -> Routes.add_route default ~gateway routes);
      Lwt.map (fun () -> t) (A.set_ips a [ Ipaddr.V4.Prefix.address cidr ])
end
