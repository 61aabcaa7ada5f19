open Lwt.Infix

let run t = Xen_os.Main.run t ; exit 0
let argument c name doc = Cmdliner.Arg.(value & opt (some c) None & info [ name ] ~doc)
let v4 = Cmdliner.Arg.conv (Ipaddr.V4.Prefix.of_string, Ipaddr.V4.Prefix.pp)
let v6 = Cmdliner.Arg.conv (Ipaddr.V6.Prefix.of_string, Ipaddr.V6.Prefix.pp)
let ipv4 = Mirage_runtime.register_arg (argument v4 "ipv4" "Our address.")
let ipv6 = Mirage_runtime.register_arg (argument v6 "ipv6" "Our address.")

let interface =
  Mirage_runtime.register_arg Cmdliner.Arg.(value & opt string "0" & info [ "interface" ] ~doc:"The device.")

let only which =
  Mirage_runtime.register_arg Cmdliner.Arg.(value & opt bool false & info [ which ] ~doc:"No other.")

let ipv4_only = only "ipv4-only"
let ipv6_only = only "ipv6-only"

module Ethernet_make = Ethernet.Make (Netif)
module Arp_make = Arp.Make (Ethernet_make)
module Dhcp_make = Dhcp_ipv4.Make (Netif) (Ethernet_make) (Arp_make)
module Net = Dhcp_ipv4.Proj_net (Dhcp_make)
module V4 = Dhcp_ipv4.Proj_ipv4 (Dhcp_make)
module Lease = Dhcp_ipv4.Proj_lease (Dhcp_make)
module V6 = Ipv6.Make (Net) (Ethernet_make)
module V4v6 = Tcpip_stack_direct.IPV4V6 (V4) (V6)
module Icmp = Icmpv4.Make (V4)
module Udp_make = Udp.Make (V4v6)
module Tcp_make = Tcp.Flow.Make (V4v6)

module Stack =
  Tcpip_stack_direct.MakeV4V6 (Net) (Ethernet_make) (Arp_make) (V4v6) (Icmp) (Udp_make) (Tcp_make)

module Unikernel_main = Unikernel.Main (Stack) (Block)

let bare = Mirage_runtime.register_arg Cmdliner.Arg.(value & flag & info [ "bare" ] ~doc:"No stack.")

(* As before mirage 4.10.5: what has the lease is IPv4, and the program listens to the device itself, as a router
   does. *)
module Bare (N : Mirage_net.S) (I : Tcpip.Ip.S with type ipaddr = Ipaddr.V4.t) = struct
  let start net ip ~forward ~link_up input =
    List.iter (fun a -> Fmt.pr "bare: %a\n%!" I.pp_prefix a) (I.configured_ips ip);
    let udp ~src:_ ~dst:_ datagram =
      let port = Cstruct.BE.get_uint16 datagram 2 in
      Fmt.pr "bare: a datagram to %d\n%!" port;
      if port = 4001 then link_up ();
      forward datagram
    in
    N.listen net ~header_size:14 (input udp) >|= ignore
end

module Bare_main = Bare (Netif) (Dhcp_make)

(* A device whose link comes back when we say so; and how to say it. *)
let with_a_link netif =
  let module N = Mirust_netif.Netif in
  let up = ref ignore in
  (N.connect { (N.device netif) with on_link = (fun f -> up := f) }, fun () -> !up ())

let no_stack () =
  Netif.connect (interface ()) >|= with_a_link >>= fun (netif, link_up) ->
  Ethernet_make.connect netif >>= fun ethernet ->
  Arp_make.connect ethernet >>= fun arp ->
  Dhcp_make.connect netif ethernet arp >>= fun ip ->
  let nothing ~src:_ ~dst:_ _ = Lwt.return_unit in
  let forward datagram =
    let src = Ipaddr.V4.of_string_exn "192.0.2.9" and dst = Ipaddr.V4.of_string_exn "10.0.0.1" in
    Dhcp_make.write ip ~src dst `UDP (fun _ -> 0) [ datagram ] >|= function
    | Ok () -> Fmt.pr "bare: forwarded\n%!"
    | Error e -> Fmt.pr "bare: %a\n%!" Dhcp_make.pp_error e
  in
  Bare_main.start netif ip ~forward ~link_up (fun udp ->
      let ipv4 = Dhcp_make.input ip ~tcp:nothing ~udp ~default:(fun ~proto:_ -> nothing) in
      Ethernet_make.input ~arpv4:(Arp_make.input arp) ~ipv4 ~ipv6:(fun _ -> Lwt.return_unit) ethernet)

let stack () =
  Netif.connect (interface ()) >>= fun netif ->
  Ethernet_make.connect netif >>= fun ethernet ->
  Arp_make.connect ethernet >>= fun arp ->
  let requests = Option.map (List.map Dhcp_wire.int_to_option_code_exn) (Some [ 1; 3; 42 ]) in
  let options = [ Dhcp_wire.Hostname (Mirage_runtime.name ()) ] in
  Dhcp_make.connect ~no_init:(ipv6_only ()) ?cidr:(ipv4 ()) ?requests ~options netif ethernet arp
  >>= fun dhcp ->
  Net.connect dhcp >>= fun net ->
  V4.connect dhcp >>= fun v4 ->
  Lease.connect dhcp >>= fun lease ->
  (match lease with
   | None -> print_endline "no lease"
   | Some lease ->
     let pp = Fmt.(list ~sep:comma Ipaddr.V4.pp) in
     Fmt.pr "lease: dns %a, ntp %a\n%!" pp (Dhcp_wire.collect_dns_servers lease) pp (Dhcp_wire.collect_ntp_servers lease));
  V6.connect ~no_init:(ipv4_only ()) ~handle_ra:true ?cidr:(ipv6 ()) net ethernet >>= fun v6 ->
  V4v6.connect ~ipv4_only:(ipv4_only ()) ~ipv6_only:(ipv6_only ()) v4 v6 >>= fun ip ->
  Icmp.connect v4 >>= fun icmp ->
  Udp_make.connect ip >>= fun udp ->
  Tcp_make.connect ip >>= fun tcp -> Stack.connect net ethernet arp ip icmp udp tcp

let () =
  let t =
    Lwt.return (Mirage_bootvar.argv ()) >>= fun argv ->
    Mirage_runtime.(with_argv (runtime_args ()) "stack" argv);
    if bare () then no_stack ()
    else
      Block.connect "51728" >>= fun block ->
      stack () >>= fun stack -> Unikernel_main.start stack block
  in
  run t
