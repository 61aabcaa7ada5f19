module Ours = Mirust_mirage_net.Dhcp_ipv4

let src = Logs.Src.create "mirust.charrua" ~doc:"Leases in charrua's terms"

module Log = (val Logs.src_log src : Logs.LOG)

(* What a server has sent is no reason to fail: an option that charrua cannot read is left out. *)
let read (number, value) =
  let rec parts v =
    let n = String.length v in
    if n <= 255 then [ v ] else String.sub v 0 255 :: parts (String.sub v 255 (n - 255))
  in
  let option v = Printf.sprintf "%c%c%s" (Char.chr number) (Char.chr (String.length v)) v in
  let magic = "\x63\x82\x53\x63" and stop = "\255" in
  let message = String.concat "" ((magic :: List.map option (parts value)) @ [ stop ]) in
  match Dhcp_wire.options_of_buf (Cstruct.of_string message) (String.length message) with
  | options -> options
  | exception e ->
      Log.info (fun m -> m "option %d of the lease: %s" number (Printexc.to_string e));
      []

module Dhcp_ipv4 = struct
  include Ours

  module Make
      (N : Mirust_mirage_net.Netif.S)
      (E : Mirust_mirage_net.Ethernet.S)
      (A : Mirust_mirage_net.Arp.S) =
  struct
    include Ours.Make (N) (E) (A)

    let connect ?no_init ?cidr ?gateway ?options ?requests net ethernet arp =
      let requests = Option.map (List.map Dhcp_wire.option_code_to_int) requests in
      connect ?no_init ?cidr ?gateway ?options ?requests net ethernet arp

    let lease t = Lwt.return (Option.map (List.concat_map read) (options t))
  end

  module type With_lease = sig
    type t

    val lease : t -> Dhcp_wire.dhcp_option list option Lwt.t
  end

  module Proj_lease (D : With_lease) = struct
    type t = Dhcp_wire.dhcp_option list option

    let connect = D.lease
  end
end
