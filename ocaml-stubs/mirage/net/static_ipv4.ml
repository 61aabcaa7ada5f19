(* IPv4 with a fixed address, as Mirage's functor [Static_ipv4.Make]. *)

open Mirust_net_engine
module Arp_core = Mirust_tcpip.Arp_core
module Ipv4_core = Mirust_tcpip.Ipv4_core

module type S =
  Mirust_mirage_types.Ip_ext.S
    with type ipaddr = Ipaddr.V4.t
     and type prefix = Ipaddr.V4.Prefix.t
     and type t = Ipv4_core.t

let create_shared ?(reassembly = Mirust_net_image.reassembly ()) link arp =
  Ipv4_core.create ~reassembly ~own:(Mirust_net_image.own ()) link (Ipv4_core.resolver_of_arp arp)

module Make (E : Ethernet.S) (A : Arp.S) = struct
  include Ipv4_core

  (* As Mirage has it: routers write with the source that a packet came with. *)
  let write = forward

  let connect ?(no_init = false) ~cidr ?gateway ?fragment_cache_size ethernet arp =
    let reassembly =
      Option.map (fun memory -> { Reassembly.default with memory }) fragment_cache_size
    in
    let t = create_shared ?reassembly (E.link ethernet) arp in
    if no_init then Lwt.return t
    else Lwt.map (fun () -> t) (Mirust_tcpip.Ipv4_address.use t arp ~cidr ?gateway ())
end
