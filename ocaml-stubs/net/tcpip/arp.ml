module type S = Mirust_mirage_types.Arp.S

module Make (E : Mirust_mirage_types.Ethernet.S) = struct
  include Arp_core

  let connect ?probe_delay e =
    let config =
      match probe_delay with
      | None -> Mirust_net_engine.Neighbour.default
      | Some ns -> { Mirust_net_engine.Neighbour.default with retransmit = Int64.to_int ns }
    in
    Lwt.return (create ~config (Link.of_ethernet (module E) e))
end
