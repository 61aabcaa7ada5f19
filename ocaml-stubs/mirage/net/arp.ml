(* Our ARP as Mirage's functor [Arp.Make]. *)

module Arp_core = Mirust_tcpip.Arp_core

module type S = Mirust_mirage_types.Arp.S with type t = Arp_core.t

module Make (E : Ethernet.S) = struct
  include Arp_core

  let connect ?probe_delay:_ ethernet =
    Lwt.return (create ~config:(Mirust_net_image.neighbours ()) (E.link ethernet))
end
