open Mirust_net_engine
open Mirust_net_env

module Make (E : Mirust_mirage_types.Ethernet.S) (A : Mirust_mirage_types.Arp.S) = struct
  include Ipv4_core

  (* How long (ns) an answer of the ARP layer is cached here. Asking it costs more than everything else that is done for
     a packet. *)
  let believed = Env.ms 100

  let resolver a =
    let query ip = Lwt.map (Result.map_error (fun _ -> `Timeout)) (A.query a ip) in
    let asked = ref None in
    let hop ip =
      let mac = ref None and until = ref min_int in
      fun () ->
        let now = Env.recent () in
        (if now >= !until then
           let answer = A.query a ip in
           match Lwt.state answer with
           | Lwt.Return (Ok found) ->
               mac := Some found;
               until := now + believed
           | Lwt.Return (Error _) | Lwt.Sleep | Lwt.Fail _ ->
               mac := None;
               asked := Some (ip, answer));
        !mac
    in
    (* Who got no address from [hop] asks here next, and the layer below is not to be asked twice. *)
    let query ip =
      match !asked with
      | Some (who, answer) when Ipaddr.V4.compare who ip = 0 ->
          asked := None;
          Lwt.map (Result.map_error (fun _ -> `Timeout)) answer
      | Some _ | None -> query ip
    in
    { query; hop; confirm_hop = ignore }

  let connect ?(no_init = false) ~cidr ?gateway ?fragment_cache_size e a =
    let reassembly =
      match fragment_cache_size with
      | None -> Reassembly.default
      | Some memory -> { Reassembly.default with memory }
    in
    let t = create ~reassembly (Link.of_ethernet (module E) e) (resolver a) in
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
