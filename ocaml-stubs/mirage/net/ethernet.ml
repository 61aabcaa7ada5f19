(* Our Ethernet as Mirage's functor [Ethernet.Make]. *)

module Link = Mirust_tcpip.Link
module Packet = Mirust_tcpip.Ethernet.Packet

module type S = sig
  include Mirust_mirage_types.Ethernet.S

  (* The device below, with all that Mirage's interface has no words for. *)
  val link : t -> Link.t
end

module Make (N : Netif.S) = struct
  module E = Mirust_tcpip.Ethernet.Make (N)

  type t = { ethernet : E.t; link : Link.t }
  type error = E.error

  let pp_error = E.pp_error
  let link t = t.link
  let mac t = E.mac t.ethernet
  let mtu t = E.mtu t.ethernet
  let write t = E.write t.ethernet
  let input ~arpv4 ~ipv4 ~ipv6 t = E.input ~arpv4 ~ipv4 ~ipv6 t.ethernet
  let disconnect t = E.disconnect t.ethernet

  let connect netif =
    Lwt.map (fun ethernet -> { ethernet; link = Link.of_netif netif }) (E.connect netif)
end
