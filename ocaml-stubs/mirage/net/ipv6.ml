(* Our IPv6 as Mirage's functor [Ipv6.Make]. *)

open Mirust_net_engine
module Ipv6_core = Mirust_tcpip.Ipv6_core

module type S =
  Mirust_mirage_types.Ip_ext.S
    with type ipaddr = Ipaddr.V6.t
     and type prefix = Ipaddr.V6.Prefix.t
     and type t = Ipv6_core.t

(* Addresses that a stack waits for, once it receives. *)
let started : Ipv6_core.t list ref = ref []

module Make (N : Netif.S) (E : Ethernet.S) = struct
  include Ipv6_core

  let connect ?(no_init = false) ?(handle_ra = true) ?cidr ?gateway (_ : N.t) ethernet =
    let neighbours = Mirust_net_image.neighbours () in
    let t =
      create ~reassembly:(Mirust_net_image.reassembly ()) ~own:(Mirust_net_image.own ())
        ~config:{ Ndp_engine.default with handle_ra; neighbours; optimistic = true }
        (E.link ethernet)
    in
    if not no_init then (
      start t;
      Option.iter (add_address t) cidr;
      Option.iter (add_router t) gateway;
      started := t :: !started);
    Lwt.return t
end
