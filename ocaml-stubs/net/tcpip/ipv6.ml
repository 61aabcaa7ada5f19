open Mirust_net_engine

module Make (N : Mirust_mirage_types.Mirage_net.S) (E : Mirust_mirage_types.Ethernet.S) = struct
  include Ipv6_core

  let connect ?(no_init = false) ?(handle_ra = true) ?cidr ?gateway (_ : N.t) e =
    let config = { Ndp_engine.default with handle_ra } in
    let t = create ~config (Link.of_ethernet (module E) e) in
    if not no_init then (
      start t;
      Option.iter (add_address t) cidr;
      Option.iter (add_router t) gateway);
    Lwt.return t
end
