open Mirust_net_engine
open Mirust_net_env

module Make (N : Mirust_mirage_types.Mirage_net.S) (E : Mirust_mirage_types.Ethernet.S) = struct
  include Ipv6_core

  let nobody _ = Lwt.return_unit

  (* Listens to the device, because objections to our addresses must arrive before the stack listens. The stack's
     listener replaces this one. *)
  let receive t net e =
    let ignored ~src:_ ~dst:_ = nobody in
    let ipv6 = input t ~tcp:ignored ~udp:ignored ~default:(fun ~proto:_ -> ignored) in
    let frame = E.input ~arpv4:nobody ~ipv4:nobody ~ipv6 e in
    Lwt.dont_wait
      (fun () -> Lwt.map ignore (N.listen net ~header_size:Ethernet.Packet.sizeof_ethernet frame))
      (fun e -> Logs.err (fun m -> m "ipv6: %s" (Printexc.to_string e)))

  (* Where others have all addresses that were tried there will be none. *)
  let patience = Env.sec 3

  let connect ?(no_init = false) ?(handle_ra = true) ?cidr ?gateway net e =
    let config = { Ndp_engine.default with handle_ra } in
    let t = create ~config (Link.of_ethernet (module E) e) in
    if no_init then Lwt.return t
    else (
      receive t net e;
      start t;
      Option.iter (add_address t) cidr;
      Option.iter (add_router t) gateway;
      Lwt.map (fun () -> t) (Lwt.pick [ ready t Ipaddr.V6.link_nodes; Env.sleep patience ]))
end
