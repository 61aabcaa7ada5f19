(* Whole stacks: the ready-made one, and one put together from functors as a Mirage application does
   it. *)

open Mirust_net_env
open Mirust_netif
open Mirust_net_mock
open Lwt.Infix

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let ip n = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 n)
let cidr n = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n)
let offloads = { Device.checksum = true; tso4 = true; tso6 = true; max_gso = 65535 }
let pattern n = String.init n (fun i -> Char.chr (((i * 31) + (i lsr 8)) land 0xff))

(* What a Mirage application is written against: nothing of ours is named here. *)
module Echo (S : Mirust_stack.Tcpip.Stack.V4V6) = struct
  let port = 7

  let serve flow =
    let rec echo () =
      S.TCP.read flow >>= function
      | Ok (`Data b) -> (
          S.TCP.write flow b >>= function Ok () -> echo () | Error _ -> S.TCP.close flow)
      | Ok `Eof | Error _ -> S.TCP.close flow
    in
    echo ()

  let start s = S.TCP.listen (S.tcp s) ~port serve

  (* Sends the string and gives what came back until the end of file. *)
  let client s dst data =
    S.TCP.create_connection (S.tcp s) (dst, port) >>= function
    | Error e -> Lwt.return_error (Fmt.to_to_string S.TCP.pp_error e)
    | Ok flow ->
        let received = Buffer.create (String.length data) in
        let rec collect () =
          S.TCP.read flow >>= function
          | Ok (`Data b) ->
              Buffer.add_string received (Cstruct.to_string b);
              collect ()
          | Ok `Eof | Error _ -> Lwt.return_unit
        in
        let rec send off =
          if off >= String.length data then S.TCP.shutdown flow `write
          else
            let len = min 16384 (String.length data - off) in
            S.TCP.write flow (Cstruct.of_string ~off ~len data) >>= function
            | Ok () -> send (off + len)
            | Error _ -> Lwt.return_unit
        in
        Lwt.join [ collect (); send 0 ] >>= fun () ->
        S.TCP.close flow >|= fun () -> Ok (Buffer.contents received)
end

module Ready = Echo (Mirust_stack.Stack.V4V6)

let stack ?(features = Device.no_features) ?ring ?pcap network n =
  let open Mirust_stack in
  let device = Network.attach ~features ?ring network (mac n) in
  let device = match pcap with None -> device | Some p -> Pcap.tap p device in
  Stack.connect { Stack.default with ipv4 = `Static { cidr = cidr n; gateway = None } } device

let run f () =
  let mock = Mock.install () in
  Mock.run mock (f ())

let echo ?features ?ring ?(conditions = Network.perfect) ?immediate ~size () =
  let network = Network.create ~conditions ?immediate () in
  stack ?features ?ring network 1 >>= fun a ->
  stack ?ring network 2 >>= fun b ->
  Ready.start b;
  let data = pattern size in
  Ready.client a (ip 2) data >|= fun r -> check_bool "echo" true (r = Ok data)

let echo_v6 ~features () =
  let network = Network.create () in
  stack ~features network 1 >>= fun a ->
  stack ~features network 2 >>= fun b ->
  Ready.start b;
  let dst = Mirust_net_engine.Ndp_engine.link_local (mac 2) in
  Mirust_tcpip.Ipv6_core.ready (Mirust_stack.Stack.ipv6 a) dst >>= fun () ->
  let data = pattern 100_000 in
  Ready.client a (Ipaddr.V6 dst) data >|= fun r -> check_bool "echo" true (r = Ok data)

let duplicate_detection_delays_nothing () =
  stack (Network.create ()) 1 >>= fun a ->
  let open Mirust_stack in
  let start = Env.now () in
  Stack.ready a >>= fun () ->
  check_int "IPv4 at once" 0 (Env.now () - start);
  Stack.settled a >|= fun () -> check_int "nor IPv6" 0 (Env.now () - start)

let to_itself () =
  stack (Network.create ()) 1 >>= fun a ->
  Ready.start a;
  let data = pattern 100_000 in
  Ready.client a (ip 1) data >|= fun r -> check_bool "echo" true (r = Ok data)

let refused () =
  let network = Network.create () in
  stack network 1 >>= fun a ->
  stack network 2 >>= fun _ ->
  Ready.client a (ip 2) "x" >|= fun r -> check_bool "refused" true (Result.is_error r)

let closed_udp_port () =
  let network = Network.create () in
  stack network 1 >>= fun a ->
  stack network 2 >>= fun _ ->
  let open Mirust_stack in
  let seen, resolver = Lwt.wait () in
  Stack.IP.on_problem (Stack.ip a) (fun ~proto ~src:_ ~dst:_ problem _ ->
      Lwt.wakeup_later resolver (proto, problem));
  Stack.UDP.write ~dst:(ip 2) ~dst_port:9 (Stack.udp a) (Cstruct.of_string "x") >>= fun _ ->
  seen >|= fun r ->
  check_bool "port unreachable" true (r = (17, Mirust_mirage_types.Ip_ext.Unreachable `Port))

(* Less fits than when the connection began, and nothing of it is lost for longer than a turn. *)
let less_fits () =
  let conditions = { Network.perfect with rate = 50_000_000; delay = Env.ms 1 } in
  let network = Network.create ~conditions () in
  stack network 1 >>= fun a ->
  stack network 2 >>= fun b ->
  Ready.start b;
  let open Mirust_stack in
  let set_mtu mtu s = Mirust_tcpip.Ipv4_core.set_mtu (Stack.ipv4 s) (Some mtu) in
  let shrink () =
    Env.sleep (Env.ms 100) >|= fun () ->
    set_mtu 1000 a;
    set_mtu 900 b
  in
  let data = pattern 2_000_000 in
  Lwt.both (Ready.client a (ip 2) data) (shrink ()) >|= fun (r, ()) ->
  check_bool "echo" true (r = Ok data);
  let timeouts s = (Mirust_tcp.Engine.stats (Stack.TCP.engine (Stack.tcp s))).timeouts in
  check_int "timeouts" 0 (timeouts a + timeouts b)

let disconnected () =
  let network = Network.create () in
  stack network 1 >>= fun a ->
  let listening = Mirust_stack.Stack.listen a in
  check_bool "listening" true (Lwt.is_sleeping listening);
  Mirust_stack.Stack.disconnect a >>= fun () -> listening

(* What others have to learn after a cable was moved: where the addresses are now. *)
let announced_when_the_link_is_back () =
  let network = Network.create () in
  let heard = ref [] in
  let monitor = Network.attach ~promiscuous:true network (mac 9) in
  monitor.on_receive (List.iter (fun (p : Mirust_wire.Packet.t) -> heard := p.data :: !heard));
  stack network 1 >>= fun a ->
  Mirust_tcpip.Ipv6_core.ready (Mirust_stack.Stack.ipv6 a) Ipaddr.V6.link_nodes >>= fun () ->
  (* Until all that a new station says has been said. *)
  Env.sleep (Env.sec 3) >>= fun () ->
  heard := [];
  Network.replug network (mac 1);
  Env.sleep (Env.ms 10) >|= fun () ->
  let open Mirust_wire in
  let arp b =
    match Arp.parse (Ethernet.payload b) with
    | Ok p -> p.operation = Request && Ipaddr.V4 p.sender_ip = ip 1 && p.sender_ip = p.target_ip
    | Error _ -> false
  in
  let advertisement b =
    match Ipv6.parse (Ethernet.payload b) with
    | Ok h -> (
        match Icmpv6.parse ~src:h.src ~dst:h.dst (Ipv6.payload h (Ethernet.payload b)) with
        | Ok (Neighbour_advertisement { target; override; _ }) ->
            override && target = Mirust_net_engine.Ndp_engine.link_local (mac 1)
        | Ok _ | Error _ -> false)
    | Error _ -> false
  in
  let count kind f =
    List.length (List.filter (fun b -> Ethernet.get_ethertype b = kind && f b) !heard)
  in
  check_int "ARP announcements" 1 (count 0x0806 arp);
  check_int "neighbour advertisements" 1 (count 0x86dd advertisement)

let recorded () =
  let file = Buffer.create 4096 in
  let network = Network.create () in
  stack ~pcap:(Pcap.create (Buffer.add_string file)) network 1 >>= fun a ->
  stack network 2 >>= fun b ->
  Ready.start b;
  Ready.client a (ip 2) "hello" >|= fun r ->
  check_bool "echo" true (r = Ok "hello");
  let s = Buffer.contents file in
  check_int "magic" 0xa1b23c4d (Int32.to_int (String.get_int32_le s 0) land 0xffffffff);
  (* Every record leads to the next, and the last one ends with the file. *)
  let rec records off n =
    if off = String.length s then n
    else records (off + 16 + Int32.to_int (String.get_int32_le s (off + 8))) (n + 1)
  in
  check_bool "records" true (records 24 0 > 10)

(* For those who read frames themselves, such as a DHCP server without a stack. *)
let headers_of_frames () =
  let open Mirust_tcpip.Ethernet.Packet in
  let header = { source = mac 1; destination = mac 2; ethertype = `ARP } in
  let bytes = make_cstruct header in
  Alcotest.(check string)
    "bytes" "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x06" (Cstruct.to_string bytes);
  let frame = Cstruct.append bytes (Cstruct.of_string "payload") in
  (match of_cstruct frame with
  | Ok (h, payload) ->
      check_bool "header" true (h = header);
      Alcotest.(check string) "payload" "payload" (Cstruct.to_string payload)
  | Error e -> Alcotest.fail e);
  for n = 0 to sizeof_ethernet - 1 do
    check_bool "short" true (Result.is_error (of_cstruct (Cstruct.sub frame 0 n)));
    check_bool "no room" true (Result.is_error (into_cstruct header (Cstruct.create n)))
  done;
  Cstruct.BE.set_uint16 frame 12 0x88cc;
  check_bool "another type" true (Result.is_error (of_cstruct frame));
  check_bool "into a larger one" true (into_cstruct header frame = Ok ());
  check_bool "as before" true (Result.map fst (of_cstruct frame) = Ok header)

(* {1 The functors} *)

module Assembly = struct
  open Mirust_stack
  module N = Netif
  module E = Ethernet.Make (N)
  module A = Arp.Make (E)
  module I4 = Static_ipv4.Make (E) (A)
  module I6 = Ipv6.Make (N) (E)
  module Icmp = Icmpv4.Make (I4)
  module I = Tcpip_stack_direct.IPV4V6 (I4) (I6)
  module U = Udp.Make (I)
  module T = Tcp.Flow.Make (I)
  include Tcpip_stack_direct.MakeV4V6 (N) (E) (A) (I) (Icmp) (U) (T)

  let make ?no_init ?(v6 = ignore) network n =
    let netif = Netif.connect (Network.attach network (mac n)) in
    E.connect netif >>= fun e ->
    A.connect e >>= fun a ->
    I4.connect ~cidr:(cidr n) e a >>= fun i4 ->
    I6.connect ?no_init netif e >>= fun i6 ->
    v6 i6;
    Icmp.connect i4 >>= fun icmp ->
    I.connect ~ipv4_only:false ~ipv6_only:false i4 i6 >>= fun i ->
    U.connect i >>= fun u ->
    T.connect i >>= fun t -> connect netif e a i icmp u t
end

module Assembled = Echo (Assembly)

let assembled ~immediate () =
  let network = Network.create ~immediate () in
  Assembly.make network 1 >>= fun a ->
  Assembly.make network 2 >>= fun b ->
  Assembled.start b;
  let data = pattern 200_000 in
  Assembled.client a (ip 2) data >>= fun r ->
  check_bool "echo" true (r = Ok data);
  Assembly.disconnect a >>= fun () -> Assembly.disconnect b

let link_local n = Mirust_net_engine.Ndp_engine.link_local (mac n)

(* Programs ask a stack for its addresses as soon as it is there. *)
let assembled_has_addresses () =
  Assembly.make (Network.create ()) 1 >|= fun a ->
  let addresses = Assembly.IP.configured_ips (Assembly.ip a) in
  let has address = List.exists (fun p -> Ipaddr.Prefix.address p = address) addresses in
  check_bool "IPv4" true (has (ip 1));
  check_bool "IPv6" true (has (Ipaddr.V6 (link_local 1)))

(* Over an IP layer that does not say that its address is still to come. *)
let assembled_connects_before_its_address () =
  let network = Network.create () in
  Assembly.make network 2 >>= fun b ->
  Assembled.start b;
  Assembly.make ~no_init:true
    ~v6:(fun t ->
      Lwt.async (fun () -> Env.sleep (Env.ms 500) >|= fun () -> Mirust_tcpip.Ipv6_core.start t))
    network 1
  >>= fun a ->
  Assembled.client a (Ipaddr.V6 (link_local 2)) "hello" >>= fun r ->
  check_bool "echo" true (r = Ok "hello");
  Assembly.make ~no_init:true network 3 >>= fun never ->
  let start = Env.now () in
  Assembled.client never (Ipaddr.V6 (link_local 2)) "hello" >|= fun r ->
  check_bool "none" true (Result.is_error r);
  check_bool "soon enough" true (Env.now () - start < Env.sec 4)

(* {1 Boot parameters} *)

let args line =
  let argv = Array.of_list ("test" :: String.split_on_char ' ' line) in
  let cmd = Cmdliner.Cmd.(v (info "test") (Mirust_stack.Args.config ())) in
  let quiet = Format.make_formatter (fun _ _ _ -> ()) ignore in
  match Cmdliner.Cmd.eval_value ~err:quiet ~argv cmd with Ok (`Ok c) -> Some c | _ -> None

let boot_parameters () =
  let open Mirust_stack.Stack in
  (match args "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=2001:db8::2/64" with
  | Some { ipv4 = `Static { cidr; gateway = Some g }; ipv6 = `On; ipv6_addresses = [ a ]; _ } ->
      Alcotest.(check string) "cidr" "10.0.0.2/24" (Ipaddr.V4.Prefix.to_string cidr);
      Alcotest.(check string) "gateway" "10.0.0.1" (Ipaddr.V4.to_string g);
      Alcotest.(check string) "ipv6" "2001:db8::2/64" (Ipaddr.V6.Prefix.to_string a)
  | _ -> Alcotest.fail "parameters");
  (match args "--accept-router-advertisements=false --ipv6-only" with
  | Some { ipv4 = `Off; accept_router_advertisements = false; _ } -> ()
  | _ -> Alcotest.fail "ipv6-only");
  List.iter
    (fun line -> check_bool line true (args line <> None))
    [
      "--ipv4=10.0.0.2/31 --ipv4-gateway=10.0.0.3";
      "--ipv4=10.0.0.2/32 --ipv4-gateway=10.0.0.1";
      "--ipv4-only --dhcp";
      "--ipv6-secret=abc";
      "--ipv6-eui64";
    ];
  List.iter
    (fun line -> check_bool line true (args line = None))
    [
      "--ipv4=10.0.0.2/33";
      "--ipv4=10.0.0";
      "--ipv4-gateway=10.0.0.1";
      "--ipv4-only --ipv6-only";
      "--ipv4-only";
      "--ipv4-only --dhcp --ipv6=2001:db8::2/64";
      "--ipv4-only --dhcp --ipv6-gateway=fe80::1";
      "--ipv4=10.0.0.2/24 --ipv6-only";
      "--ipv6=10.0.0.1/24";
      "--ipv6-secret=";
      (* Addresses that cannot work. *)
      "--ipv4=10.0.0.0/24";
      "--ipv4=10.0.0.255/24";
      "--ipv4=224.0.0.1/24";
      "--ipv4=0.0.0.0/24";
      "--ipv4=127.0.0.1/8";
      "--ipv4=250.1.2.3/24";
      "--ipv4=10.0.0.2/0";
      "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.2";
      "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.255";
      "--ipv4=10.0.0.2/24 --ipv4-gateway=127.0.0.1";
      "--ipv4=10.0.0.2/24 --ipv4-gateway=0.0.0.0";
      "--ipv6=::1/128";
      "--ipv6=::/64";
      "--ipv6=2001:db8::/64";
      "--ipv6=2001:db8::2/0";
      "--ipv6=ff02::2/64";
      "--ipv6=::ffff:10.0.0.1/128";
      "--ipv6=2001:db8::2/64 --ipv6-gateway=2001:db8::2";
      "--ipv6=2001:db8::2/64 --ipv6-gateway=ff02::2";
    ]

let () =
  let bad =
    {
      Network.perfect with
      drop = 0.02;
      reorder = 0.02;
      reorder_by = Env.ms 3;
      duplicate = 0.02;
      corrupt = 0.02;
      delay = Env.ms 5;
      jitter = Env.ms 1;
    }
  in
  Alcotest.run "stack"
    [
      ( "ready_made",
        [
          case "echo" (run (echo ~size:300_000));
          case "echo_reentrant" (run (echo ~immediate:true ~size:300_000));
          case "echo_one_byte" (run (echo ~size:1));
          case "echo_with_offloads_to_a_plain_peer" (run (echo ~features:offloads ~size:1_000_000));
          case "echo_over_a_bad_link" (run (echo ~conditions:bad ~size:300_000));
          case "echo_over_a_slow_link"
            (run
               (echo
                  ~conditions:
                    { Network.perfect with rate = 10_000_000; queue = 100_000; delay = Env.ms 10 }
                  ~size:300_000));
          case "echo_through_a_tiny_ring"
            (run (echo ~ring:2 ~conditions:{ Network.perfect with delay = Env.ms 1 } ~size:300_000));
          case "echo_v6" (run (echo_v6 ~features:Device.no_features));
          case "echo_v6_with_offloads" (run (echo_v6 ~features:offloads));
          case "duplicate_detection_delays_nothing" (run duplicate_detection_delays_nothing);
          case "to_itself" (run to_itself);
          case "headers_of_frames" headers_of_frames;
          case "refused" (run refused);
          case "closed_udp_port" (run closed_udp_port);
          case "less_fits" (run less_fits);
          case "disconnected" (run disconnected);
          case "announced_when_the_link_is_back" (run announced_when_the_link_is_back);
          case "recorded" (run recorded);
        ] );
      ( "functors",
        [
          case "assembled" (run (assembled ~immediate:false));
          case "assembled_reentrant" (run (assembled ~immediate:true));
          case "assembled_has_addresses" (run assembled_has_addresses);
          case "assembled_connects_before_its_address" (run assembled_connects_before_its_address);
        ] );
      ("arguments", [ case "boot_parameters" boot_parameters ]);
    ]
