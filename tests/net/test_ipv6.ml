(* IPv6 hosts, and a router and a troublemaker played by hand, on an Ethernet in memory. *)

open Mirust_tcpip
open Mirust_netif
open Mirust_net_mock
open Mirust_net_env
open Lwt.Infix
module W = Mirust_wire
module I = Ipv6_core
module U = Udp.Make (I)

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let v6 = Ipaddr.V6.of_string_exn
let cidr = Ipaddr.V6.Prefix.of_string_exn
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let link_local n = Mirust_net_engine.Ndp_engine.link_local (mac n)

type host = { ip : I.t; udp : U.t }

let host ?(mtu = 1500) ?(start = true) network n =
  let netif = Netif.connect (Network.attach ~mtu network (mac n)) in
  let ip = I.create (Link.of_netif netif) in
  U.connect ip >|= fun udp ->
  Netif.listen_packets netif
    (List.iter (fun (p : W.Packet.t) ->
         if W.Ethernet.get_ethertype p.data = 0x86dd then
           I.input_packet ip
             ~tcp:(fun ~src:_ ~dst:_ ~tos:_ _ -> ())
             ~udp:(U.input_packet udp)
             ~default:(fun ~proto:_ ~src:_ ~dst:_ ~tos:_ _ -> ())
             ~at:(W.Ethernet.payload_start p.data) p));
  if start then I.start ip;
  { ip; udp }

(* A station that sends what it is told and remembers every ICMPv6 message it sees. *)
module Station = struct
  type t = {
    device : Device.t;
    mutable seen : (Ipaddr.V6.t * Ipaddr.V6.t * int * W.Icmpv6.t) list; (* newest first *)
  }

  let create network n =
    let t = { device = Network.attach ~ring:10_000 network (mac n); seen = [] } in
    t.device.on_receive
      (List.iter (fun (p : W.Packet.t) ->
           let b = W.Ethernet.payload p.data in
           match W.Ipv6.parse b with
           | Ok h -> (
               match W.Icmpv6.parse ~src:h.src ~dst:h.dst (W.Ipv6.payload h b) with
               | Ok m -> t.seen <- (h.src, h.dst, h.hop_limit, m) :: t.seen
               | Error _ -> ())
           | Error _ -> ()));
    t

  let send_packet t ?(to_ = Macaddr.broadcast) ~src ~dst ~next_header ~hop_limit payload =
    let len = Cstruct.length payload in
    let head = t.device.reserve (54 + len) in
    W.Ethernet.emit { source = t.device.mac; destination = to_; proto = `IPv6 } head;
    W.Ipv6.emit
      { src; dst; traffic_class = 0; flow_label = 0; next_header; hop_limit; payload_length = len }
      (Cstruct.shift head 14);
    Cstruct.blit payload 0 head 54 len;
    ignore
      (t.device.send { head; payload = []; checksum_start = 0; checksum_offset = 0; gso_size = 0 })

  let send t ?(hop_limit = 255) ~src ~dst message =
    let b = Cstruct.create (W.Icmpv6.length message) in
    W.Icmpv6.emit ~src ~dst message b;
    send_packet t ~src ~dst ~next_header:58 ~hop_limit b

  let saw t f = List.exists (fun (_, _, _, m) -> f m) t.seen
end

let run f () =
  let mock = Mock.install () in
  Mock.run mock (f ())

let dad_time = Env.ms 1100
let pattern n = Cstruct.of_string (String.init n (fun i -> Char.chr (i * 31 land 0xff)))

let ping_link_local ~immediate () =
  let network = Network.create ~immediate () in
  host network 1 >>= fun a ->
  host network 2 >>= fun _ ->
  Env.sleep dad_time >>= fun () ->
  I.ping a.ip ~payload:(pattern 1000) (link_local 2) >|= fun r ->
  check_bool "answered" true (Result.is_ok r)

let no_address_before_dad_is_over () =
  let network = Network.create () in
  host network 1 >>= fun a ->
  I.ping a.ip (link_local 2) >>= fun r ->
  check_bool "too early" true (r = Error `No_route);
  I.ready a.ip (link_local 2) >|= fun () -> check_int "after a second" (Env.sec 1) (Env.now ())

let static_addresses () =
  let network = Network.create () in
  host network 1 >>= fun a ->
  host network 2 >>= fun b ->
  I.add_address a.ip (cidr "2001:db8::1/64");
  I.add_address b.ip (cidr "2001:db8::2/64");
  Env.sleep dad_time >>= fun () ->
  check_bool "source" true
    (Ipaddr.V6.compare (I.src a.ip ~dst:(v6 "2001:db8::2")) (v6 "2001:db8::1") = 0);
  check_bool "source for a link-local" true
    (Ipaddr.V6.compare (I.src a.ip ~dst:(link_local 2)) (link_local 1) = 0);
  I.ping a.ip (v6 "2001:db8::2") >>= fun r ->
  check_bool "answered" true (Result.is_ok r);
  I.ping a.ip ~timeout:(Env.sec 10) (v6 "2001:db8::9") >>= fun r ->
  check_bool "nobody there" true (r = Error `No_route);
  I.ping a.ip (v6 "2001:db8:1::1") >|= fun r -> check_bool "no router" true (r = Error `No_route)

let duplicate_address ~order () =
  let network = Network.create () in
  host network 1 >>= fun a ->
  host network 2 >>= fun b ->
  let lost = ref [] in
  let note n = function `Duplicate _ -> lost := n :: !lost | `Ready _ | `Expired _ -> () in
  I.on_address a.ip (note 1);
  I.on_address b.ip (note 2);
  Env.sleep dad_time >>= fun () ->
  I.add_address a.ip (cidr "2001:db8::7/64");
  (match order with `Later -> Env.sleep dad_time | `Together -> Lwt.return_unit) >>= fun () ->
  I.add_address b.ip (cidr "2001:db8::7/64");
  Env.sleep dad_time >|= fun () ->
  let expected = match order with `Later -> [ 2 ] | `Together -> [ 1; 2 ] in
  Alcotest.(check (list int)) "who gave up" expected (List.sort compare !lost)

(* {1 Addresses that are used while duplicates of them are looked for (RFC 4429)} *)

module Ndp = Mirust_net_engine.Ndp_engine

let optimistic () =
  let t : int Ndp.t = Ndp.create { Ndp.default with optimistic = true } (mac 1) in
  (t, Ndp.start t ~now:0)

let messages actions =
  List.filter_map
    (function Ndp.Send { src; message; _ } -> Some (src, message) | _ -> None)
    actions

let same a b = Ipaddr.V6.compare a b = 0

(* What is answered to a neighbour who looks for us. *)
let asked t ~now =
  let options = { W.Icmpv6.no_options with source_link = Some (mac 2) } in
  Ndp.input t ~now ~src:(link_local 2)
    ~dst:(Ndp.solicited_node (link_local 1))
    ~hop_limit:255
    (Neighbour_solicitation { target = link_local 1; options })
  |> messages
  |> List.filter_map (function
       | src, W.Icmpv6.Neighbour_advertisement { override; solicited; _ } ->
           Some (same src (link_local 1), override, solicited)
       | _ -> None)

let optimistic_is_used_and_overrides_nothing () =
  let t, started = optimistic () in
  check_bool "usable" true
    (List.mem (Ndp.Ready (link_local 1)) started && Ndp.is_local t (link_local 1));
  let unspecified = Ipaddr.V6.unspecified in
  List.iter
    (fun (src, message) ->
      check_bool "all from nowhere" true (same src unspecified);
      match message with
      | W.Icmpv6.Router_solicitation { source_link; _ }
      | Neighbour_solicitation { options = { source_link; _ }; _ } ->
          check_bool "no link address" true (source_link = None)
      | _ -> ())
    (messages started);
  let has kind = List.exists (fun (_, m) -> kind m) (messages started) in
  check_bool "looks for duplicates" true
    (has (function Neighbour_solicitation _ -> true | _ -> false));
  check_bool "asks for routers" true (has (function Router_solicitation _ -> true | _ -> false));
  let answer = Alcotest.(check (list (triple bool bool bool))) in
  answer "answers, and overrides nothing" [ (true, false, true) ] (asked t ~now:1);
  check_int "announces nothing" 0
    (List.length
       (List.filter
          (function _, W.Icmpv6.Neighbour_advertisement _ -> true | _ -> false)
          (messages (Ndp.announce_again t ~now:1))));
  ignore (Ndp.tick t ~now:dad_time : int Ndp.action list);
  answer "as ever afterwards" [ (true, true, true) ] (asked t ~now:dad_time)

let optimistic_asks_for_nobody () =
  let t, _ = optimistic () in
  let questions actions =
    List.filter
      (function _, W.Icmpv6.Neighbour_solicitation _ -> true | _ -> false)
      (messages actions)
  in
  check_int "not yet" 0 (List.length (questions (Ndp.send t ~now:1 (link_local 3) 7)));
  let later = Ndp.tick t ~now:(Env.sec 1 + 1) in
  match questions later with
  | [ (src, _) ] -> check_bool "from an address that is ours" true (same src (link_local 1))
  | questions -> Alcotest.failf "%d questions" (List.length questions)

let optimistic_gives_up () =
  let t, _ = optimistic () in
  check_bool "who has it may say so from it" false (Ndp.is_martian t (link_local 1));
  let options = { W.Icmpv6.no_options with target_link = Some (mac 9) } in
  let heard =
    Ndp.input t ~now:1 ~src:(link_local 1) ~dst:Ipaddr.V6.link_nodes ~hop_limit:255
      (Neighbour_advertisement
         { router = false; solicited = false; override = true; target = link_local 1; options })
  in
  check_bool "given up" true (List.mem (Ndp.Duplicate (link_local 1)) heard);
  check_bool "not ours" false (Ndp.is_local t (link_local 1));
  check_bool "no source" true (Ndp.source t ~now:1 (link_local 2) = None)

let who_looks_for_duplicates_gives_no_link_address () =
  let t, _ = optimistic () in
  let asks source_link =
    let target = link_local 1 in
    Ndp.input t ~now:1 ~src:Ipaddr.V6.unspecified ~dst:(Ndp.solicited_node target) ~hop_limit:255
      (Neighbour_solicitation { target; options = { W.Icmpv6.no_options with source_link } })
  in
  check_bool "ignored" true (asks (Some (mac 9)) = []);
  check_bool "a duplicate" true (List.mem (Ndp.Duplicate (link_local 1)) (asks None))

let advertisement ?(lifetime = 1800) ?(valid = 7200) ?(preferred = 3600) ?mtu
    ?(prefix = "2001:db8:5::/64") () =
  W.Icmpv6.Router_advertisement
    {
      hop_limit = 31;
      managed = false;
      other = false;
      lifetime;
      reachable = 0;
      retransmit = 0;
      options =
        {
          W.Icmpv6.no_options with
          source_link = Some (mac 9);
          mtu;
          prefixes =
            [ { prefix = cidr prefix; on_link = true; autonomous = true; valid; preferred } ];
          dns = [ (600, [ v6 "2001:db8::53" ]) ];
        };
    }

let with_router f () =
  let network = Network.create () in
  let router = Station.create network 9 in
  host network 1 >>= fun a ->
  Env.sleep dad_time >>= fun () -> f router a

let advertise router m = Station.send router ~src:(link_local 9) ~dst:(v6 "ff02::1") m

let slaac =
  with_router (fun router a ->
      check_bool "asked for routers" true
        (Station.saw router (function Router_solicitation _ -> true | _ -> false));
      advertise router (advertisement ~mtu:1400 ());
      Env.sleep dad_time >>= fun () ->
      let ips = List.map Ipaddr.V6.Prefix.to_string (I.configured_ips a.ip) in
      Alcotest.(check (list string))
        "addresses"
        [ "fe80::ff:fe00:1/64"; "2001:db8:5::ff:fe00:1/64" ]
        ips;
      check_int "mtu" 1360 (I.mtu a.ip ~dst:(v6 "2001:db8:77::1"));
      check_bool "dns" true (List.length (I.dns a.ip) = 1);
      (* Off-link packets go by way of the router, whose link address came with the advertisement. *)
      I.write a.ip (v6 "2001:db8:77::1") `ICMP (fun _ -> 0) [ pattern 8 ] >>= fun r ->
      check_bool "sent" true (r = Ok ());
      (* The address and the router expire. *)
      Env.sleep (Env.sec 7300) >|= fun () ->
      check_int "one address left" 1 (List.length (I.configured_ips a.ip));
      check_bool "no route" true (Result.is_error (I.path a.ip (v6 "2001:db8:77::1"))))

let a_forged_advertisement_leaves_two_hours =
  with_router (fun router a ->
      advertise router (advertisement ~valid:86400 ~preferred:86400 ());
      Env.sleep dad_time >>= fun () ->
      advertise router (advertisement ~valid:1 ~preferred:1 ());
      Env.sleep (Env.sec 7100) >>= fun () ->
      check_int "still there" 2 (List.length (I.configured_ips a.ip));
      Env.sleep (Env.sec 200) >|= fun () -> check_int "gone" 1 (List.length (I.configured_ips a.ip)))

let advertisements_from_afar_are_ignored =
  with_router (fun router a ->
      let m = advertisement () in
      Station.send router ~hop_limit:254 ~src:(link_local 9) ~dst:(v6 "ff02::1") m;
      Station.send router ~src:(v6 "2001:db8::9") ~dst:(v6 "ff02::1") m;
      Env.sleep dad_time >|= fun () -> check_int "addresses" 1 (List.length (I.configured_ips a.ip)))

(* Who guards a network against forged advertisements looks at whole ones only. *)
let advertisements_in_pieces_are_ignored =
  with_router (fun router a ->
      let src = link_local 9 and dst = v6 "ff02::1" in
      let whole m =
        let b = Cstruct.create (W.Icmpv6.length m) in
        W.Icmpv6.emit ~src ~dst m b;
        b
      in
      let send ~id ~offset ~more b =
        let header = Cstruct.create 8 in
        W.Ipv6.emit_fragment ~next_header:58 { id; offset; more } header;
        Station.send_packet router ~src ~dst ~next_header:44 ~hop_limit:255
          (Cstruct.append header b)
      in
      let m = whole (advertisement ()) in
      send ~id:1 ~offset:0 ~more:false m;
      send ~id:2 ~offset:0 ~more:true (Cstruct.sub m 0 16);
      send ~id:2 ~offset:16 ~more:false (Cstruct.shift m 16);
      Env.sleep dad_time >>= fun () ->
      check_int "addresses" 1 (List.length (I.configured_ips a.ip));
      (* What else may come so does: an echo. *)
      let src = v6 "fe80::ff:fe00:9" and dst = link_local 1 in
      let echo = W.Icmpv6.Echo_request { id = 1; seq = 1; data = pattern 16 } in
      let b = Cstruct.create (W.Icmpv6.length echo) in
      W.Icmpv6.emit ~src ~dst echo b;
      let header = Cstruct.create 8 in
      W.Ipv6.emit_fragment ~next_header:58 { id = 3; offset = 0; more = false } header;
      Station.send_packet router ~src ~dst ~next_header:44 ~hop_limit:64 (Cstruct.append header b);
      Env.sleep (Env.ms 1) >>= fun () ->
      (* It asks for the station first. *)
      let asked = function
        | W.Icmpv6.Neighbour_solicitation { target; _ } -> same target src
        | W.Icmpv6.Echo_reply _ -> true
        | _ -> false
      in
      check_bool "an echo is answered" true (Station.saw router asked);
      advertise router (advertisement ());
      Env.sleep dad_time >|= fun () ->
      check_int "a whole one" 2 (List.length (I.configured_ips a.ip)))

let a_flood_of_advertisements_is_bounded =
  with_router (fun router a ->
      for i = 0 to 499 do
        advertise router (advertisement ~prefix:(Printf.sprintf "2001:db8:%x::/64" i) ())
      done;
      Env.sleep dad_time >|= fun () ->
      check_int "addresses" 17 (List.length (I.configured_ips a.ip)))

let advertised_to t ~now m =
  Ndp.input t ~now ~src:(link_local 9) ~dst:(v6 "ff02::1") ~hop_limit:255 m

(* One who advertises prefixes, and claims each address that is made of them. *)
let claimed_addresses_are_bounded () =
  let t : int Ndp.t = Ndp.create Ndp.default (mac 1) in
  ignore (Ndp.start t ~now:0);
  ignore (Ndp.tick t ~now:(Env.sec 2));
  let claim now (_, m) =
    match (m : W.Icmpv6.t) with
    | Neighbour_solicitation { target; _ } ->
        ignore
          (advertised_to t ~now
             (Neighbour_advertisement
                {
                  router = false;
                  solicited = false;
                  override = true;
                  target;
                  options = { W.Icmpv6.no_options with target_link = Some (mac 9) };
                }))
    | _ -> ()
  in
  for i = 0 to 499 do
    let now = Env.sec 2 + i in
    let m = advertisement ~prefix:(Printf.sprintf "2001:db8:%x::/64" i) () in
    List.iter (claim now) (messages (advertised_to t ~now m))
  done;
  check_int "none yet" 1 (List.length (Ndp.addresses t));
  (* They are tried again after a minute, and then nobody minds. *)
  ignore (Ndp.tick t ~now:(Env.sec 70));
  ignore (Ndp.tick t ~now:(Env.sec 80));
  check_int "later" 17 (List.length (Ndp.addresses t))

let an_hour_for_an_answer_is_not_believed () =
  let t : int Ndp.t = Ndp.create Ndp.default (mac 1) in
  ignore (Ndp.start t ~now:0);
  ignore (Ndp.tick t ~now:(Env.sec 2));
  (match advertisement () with
  | Router_advertisement r ->
      let m = W.Icmpv6.Router_advertisement { r with retransmit = 3_600_000 } in
      ignore (advertised_to t ~now:(Env.sec 2) m)
  | _ -> assert false);
  ignore (Ndp.send t ~now:(Env.sec 10) (link_local 3) 0);
  let asked = function
    | W.Icmpv6.Neighbour_solicitation { target; _ } -> same target (link_local 3)
    | _ -> false
  in
  let again = messages (Ndp.tick t ~now:(Env.sec 21)) in
  check_bool "asked again" true (List.exists (fun (_, m) -> asked m) again)

let a_group_is_no_neighbours_link_address () =
  let src = link_local 2 and dst = link_local 1 in
  let parsed mac =
    let options = { W.Icmpv6.no_options with source_link = Some mac; target_link = Some mac } in
    let m = W.Icmpv6.Neighbour_solicitation { target = dst; options } in
    let b = Cstruct.create (W.Icmpv6.length m) in
    W.Icmpv6.emit ~src ~dst m b;
    match W.Icmpv6.parse ~src ~dst b with
    | Ok (Neighbour_solicitation { options; _ }) -> (options.source_link, options.target_link)
    | Ok _ | Error _ -> Alcotest.fail "no solicitation"
  in
  check_bool "a station's" true (parsed (mac 2) = (Some (mac 2), Some (mac 2)));
  List.iter
    (fun m -> check_bool m true (parsed (Macaddr.of_string_exn m) = (None, None)))
    [ "ff:ff:ff:ff:ff:ff"; "33:33:00:00:00:01"; "01:00:5e:00:00:01" ]

(* The prefix of an address that was given stays, whatever a router says. *)
let a_prefix_that_was_given_is_not_ended () =
  let t : int Ndp.t = Ndp.create Ndp.default (mac 1) in
  ignore (Ndp.start t ~now:0);
  ignore (Ndp.add_address t ~now:0 (cidr "2001:db8:5::1/64"));
  let now = Env.sec 2 in
  ignore (Ndp.tick t ~now);
  let neighbour = v6 "2001:db8:5::2" in
  let check name = check_bool name true (Ndp.next_hop t ~now neighbour = Link neighbour) in
  check "before";
  ignore (advertised_to t ~now (advertisement ~valid:0 ~preferred:0 ()));
  ignore (Ndp.tick t ~now);
  check "afterwards";
  (* One that routers brought they may end. *)
  let theirs = v6 "2001:db8:6::2" and prefix = "2001:db8:6::/64" in
  ignore (advertised_to t ~now (advertisement ~prefix ()));
  check_bool "on the link" true (Ndp.next_hop t ~now theirs = Link theirs);
  ignore (advertised_to t ~now (advertisement ~valid:0 ~preferred:0 ~prefix ()));
  check_bool "behind the router" true (Ndp.next_hop t ~now theirs = Link (link_local 9))

(* RFC 4861 section 7.2.5. *)
let a_router_that_is_a_host_now_is_not_used () =
  let t : int Ndp.t = Ndp.create Ndp.default (mac 1) in
  ignore (Ndp.start t ~now:0);
  let now = Env.sec 2 in
  ignore (Ndp.tick t ~now);
  ignore (advertised_to t ~now (advertisement ()));
  let says ?(n = 9) ?(override = true) router =
    let options = { W.Icmpv6.no_options with target_link = Some (mac n) } in
    ignore
      (advertised_to t ~now
         (Neighbour_advertisement
            { router; solicited = false; override; target = link_local 9; options }))
  in
  let is_used () = Ndp.next_hop t ~now (v6 "2001:db9::1") = Link (link_local 9) in
  says true;
  check_bool "a router" true (is_used ());
  says ~n:7 ~override:false false;
  check_bool "from where nobody knows it" true (is_used ());
  says ~override:false false;
  check_bool "a host" false (is_used ());
  Ndp.add_router t (link_local 9);
  says false;
  check_bool "configured" true (is_used ())

(* On another network its router and its prefix are used, although the old ones would live on for hours. *)
let the_link_comes_back_elsewhere () =
  let t : int Ndp.t = Ndp.create Ndp.default (mac 1) in
  ignore (Ndp.start t ~now:0);
  let there = v6 "2001:db9::1" in
  let hear ~now n ?(prefix = "2001:db8:5::/64") () =
    ignore
      (Ndp.input t ~now ~src:(link_local n) ~dst:(v6 "ff02::1") ~hop_limit:255
         (advertisement ~prefix ()));
    ignore (Ndp.tick t ~now:(now + Env.sec 2))
  in
  let uses name ~now ~router ~prefix =
    check_bool (name ^ ": router") true (Ndp.next_hop t ~now there = Link (link_local router));
    match Ndp.source t ~now there with
    | None -> Alcotest.failf "%s: no source" name
    | Some a -> check_bool (name ^ ": source") true (Ipaddr.V6.Prefix.mem a (cidr prefix))
  in
  hear ~now:(Env.sec 2) 9 ();
  hear ~now:(Env.sec 2) 8 ();
  uses "at first" ~now:(Env.sec 10) ~router:9 ~prefix:"2001:db8:5::/64";
  ignore (Ndp.announce_again t ~now:(Env.sec 10));
  uses "nobody has answered" ~now:(Env.sec 10) ~router:9 ~prefix:"2001:db8:5::/64";
  hear ~now:(Env.sec 11) 7 ~prefix:"2001:db8:6::/64" ();
  uses "elsewhere" ~now:(Env.sec 14) ~router:7 ~prefix:"2001:db8:6::/64";
  (* Who speaks unasked does not come first. *)
  hear ~now:(Env.sec 15) 8 ();
  check_bool "router" true (Ndp.next_hop t ~now:(Env.sec 18) there = Link (link_local 7));
  (* And back again, where nothing has changed. *)
  ignore (Ndp.announce_again t ~now:(Env.sec 20));
  hear ~now:(Env.sec 21) 9 ();
  uses "back" ~now:(Env.sec 24) ~router:9 ~prefix:"2001:db8:5::/64"

(* As IPv4's, from DHCP. *)
let name_servers_that_cannot_be () =
  let t : int Ndp.t = Ndp.create Ndp.default (mac 1) in
  (match advertisement () with
  | Router_advertisement r ->
      let servers = List.map v6 [ "::"; "::1"; "ff02::fb"; "::ffff:10.0.0.53"; "2001:db8::53" ] in
      let options = { r.options with dns = [ (600, servers) ] } in
      ignore (advertised_to t ~now:0 (W.Icmpv6.Router_advertisement { r with options }))
  | _ -> assert false);
  check_bool "one" true (Ndp.dns t ~now:1 = [ v6 "2001:db8::53" ])

let redirects_are_ignored =
  with_router (fun router a ->
      advertise router (advertisement ());
      Env.sleep dad_time >>= fun () ->
      Station.send router ~src:(link_local 9) ~dst:(link_local 1)
        (Redirect
           {
             target = link_local 66;
             destination = v6 "2001:db8:77::1";
             options = { W.Icmpv6.no_options with target_link = Some (mac 66) };
           });
      Env.sleep (Env.ms 1) >|= fun () ->
      check_bool "path" true (Result.is_ok (I.path a.ip (v6 "2001:db8:77::1"))))

let answers_and_joins =
  with_router (fun router a ->
      let target = link_local 1 in
      Station.send router ~src:(link_local 9)
        ~dst:(Mirust_net_engine.Ndp_engine.solicited_node target)
        (Neighbour_solicitation
           { target; options = { W.Icmpv6.no_options with source_link = Some (mac 9) } });
      Env.sleep (Env.ms 1) >|= fun () ->
      ignore a;
      check_bool "advertised" true
        (List.exists
           (function
             | ( _,
                 dst,
                 255,
                 W.Icmpv6.Neighbour_advertisement { solicited = true; override = true; options; _ }
               ) ->
                 Ipaddr.V6.compare dst (link_local 9) = 0 && options.target_link = Some (mac 1)
             | _ -> false)
           router.seen))

let listener_queries_are_answered =
  with_router (fun router _ ->
      let group = Mirust_net_engine.Ndp_engine.solicited_node (link_local 1) in
      let seen = ref 0 in
      router.device.on_receive
        (List.iter (fun (p : W.Packet.t) ->
             let b = W.Ethernet.payload p.data in
             (* Hop-by-hop options with a router alert, then a version 2 report with one record: it listens. *)
             if
               Cstruct.to_hex_string (Cstruct.sub b 40 10) = "3a000502000001008f00"
               && W.Field.u8 b 56 = 2
             then (
               check_int "hop limit" 1 (W.Field.u8 b 7);
               check_bool "group" true (Ipaddr.V6.compare (W.Field.v6 b 60) group = 0);
               incr seen)));
      let query ?(hop_limit = 1) group =
        Station.send router ~hop_limit ~src:(link_local 9) ~dst:(v6 "ff02::1")
          (Listener_query { group })
      in
      query Ipaddr.V6.unspecified;
      query Ipaddr.V6.unspecified;
      Env.sleep (Env.sec 2) >>= fun () ->
      check_int "once a second" 1 !seen;
      query group;
      Env.sleep (Env.sec 2) >>= fun () ->
      check_int "for the group" 2 !seen;
      query (v6 "ff02::99");
      query ~hop_limit:2 group;
      Env.sleep (Env.sec 2) >|= fun () -> check_int "not for others, nor from afar" 2 !seen)

let unreachable_router_is_replaced () =
  let network = Network.create () in
  let station = Station.create network 9 in
  host network 1 >>= fun a ->
  I.add_router a.ip (link_local 8);
  I.add_router a.ip (link_local 9);
  Env.sleep dad_time >>= fun () ->
  let dst = v6 "2001:db8:77::1" in
  I.add_address a.ip (cidr "2001:db8::1/64");
  Env.sleep dad_time >>= fun () ->
  (* The first router never answers: three questions later the second is asked. *)
  I.write a.ip dst `ICMP (fun _ -> 0) [ pattern 8 ] >>= fun r ->
  check_bool "first" true (Result.is_error r);
  let second = I.write a.ip dst `ICMP (fun _ -> 0) [ pattern 8 ] in
  Env.sleep (Env.ms 1) >>= fun () ->
  Station.send station ~src:(link_local 9) ~dst:(link_local 1)
    (Neighbour_advertisement
       {
         router = true;
         solicited = true;
         override = true;
         target = link_local 9;
         options = { W.Icmpv6.no_options with target_link = Some (mac 9) };
       });
  second >|= fun r -> check_bool "second" true (r = Ok ())

let udp ~size ~conditions () =
  let network = Network.create ~conditions () in
  host network 1 >>= fun a ->
  host network 2 >>= fun b ->
  Env.sleep dad_time >>= fun () ->
  let received, resolver = Lwt.wait () in
  let data = pattern size in
  U.listen b.udp ~port:7 (fun ~src:_ ~dst:_ ~src_port:_ d ->
      if Lwt.is_sleeping received then Lwt.wakeup_later resolver (Cstruct.equal d data);
      Lwt.return_unit);
  U.write ~dst:(link_local 2) ~dst_port:7 a.udp data >>= fun r ->
  check_bool "sent" true (r = Ok ());
  received >|= fun same -> check_bool "content" true same

let port_unreachable () =
  let network = Network.create () in
  host network 1 >>= fun a ->
  host network 2 >>= fun b ->
  Env.sleep dad_time >>= fun () ->
  let seen, resolver = Lwt.wait () in
  I.on_problem a.ip (fun ~proto ~src:_ ~dst:_ problem _ ->
      Lwt.wakeup_later resolver (proto, problem));
  U.on_unlistened b.udp (fun ~src ~dst d -> I.reject b.ip ~src ~dst ~proto:17 Port d);
  U.write ~dst:(link_local 2) ~dst_port:7 a.udp (pattern 4) >>= fun _ ->
  seen >|= fun r ->
  check_bool "port unreachable" true (r = (17, Mirust_mirage_types.Ip_ext.Unreachable `Port))

let packet_too_big =
  with_router (fun router a ->
      advertise router (advertisement ());
      Env.sleep dad_time >>= fun () ->
      let dst = v6 "2001:db8:77::1" in
      let p = Result.get_ok (I.path a.ip dst) in
      check_int "before" 1460 (I.path_mtu p);
      let quoted src =
        let b = Cstruct.create 60 in
        W.Ipv6.emit
          {
            src;
            dst;
            traffic_class = 0;
            flow_label = 0;
            next_header = 17;
            hop_limit = 3;
            payload_length = 20;
          }
          b;
        b
      in
      let report src mtu =
        Station.send router ~hop_limit:60 ~src:(v6 "2001:db8:66::1") ~dst:(I.source p)
          (Packet_too_big { mtu; quoted = quoted src })
      in
      report (v6 "2001:db8::dead") 1300;
      Env.sleep (Env.ms 1) >>= fun () ->
      check_int "of a packet that is not ours" 1460 (I.path_mtu p);
      report (I.source p) 1300;
      Env.sleep (Env.ms 1) >>= fun () ->
      check_int "after" 1260 (I.path_mtu p);
      report (I.source p) 100;
      Env.sleep (Env.ms 1) >|= fun () -> check_int "floor" 1240 (I.path_mtu p))

let unknown_options_are_reported =
  with_router (fun router _ ->
      let send option =
        let b = Cstruct.of_hex ("3b00" ^ option ^ "0400000000") in
        Station.send_packet router ~src:(link_local 9) ~dst:(link_local 1) ~next_header:60
          ~hop_limit:64 b
      in
      send "81";
      Env.sleep (Env.sec 1) >>= fun () ->
      (* The answer needs our link address. *)
      Station.send router ~src:(link_local 9) ~dst:(link_local 1)
        (Neighbour_advertisement
           {
             router = true;
             solicited = true;
             override = true;
             target = link_local 9;
             options = { W.Icmpv6.no_options with target_link = Some (mac 9) };
           });
      Env.sleep (Env.ms 1) >|= fun () ->
      check_bool "reported" true
        (Station.saw router (function
          | Parameter_problem { code = 2; pointer = 42; _ } -> true
          | _ -> false)))

let survives_random_packets =
  with_router (fun router a ->
      let rng = Random.State.make [| 7 |] in
      let int n = Random.State.int rng n in
      let kinds = [| 0; 6; 17; 43; 44; 58; 58; 58; 59; 60 |] in
      let next_header () = kinds.(int 10) in
      for _ = 1 to 5_000 do
        let b = Cstruct.of_string (String.init (8 * int 12) (fun _ -> Char.chr (int 256))) in
        let kind = next_header () in
        let src = link_local 9 and dst = link_local 1 in
        if kind = 58 && Cstruct.length b > 0 then (
          Cstruct.set_uint8 b 0 (if int 2 = 0 then 133 + int 5 else int 256);
          Cstruct.set_uint8 b 1 0;
          W.Field.set_u16 b 2 0;
          W.Field.set_u16 b 2
            (W.Checksum.finish
               (W.Checksum.bytes
                  (W.Checksum.pseudo_v6 ~src ~dst ~proto:58 ~len:(Cstruct.length b))
                  b)))
        else if Cstruct.length b > 0 then (
          Cstruct.set_uint8 b 0 (next_header ());
          Cstruct.set_uint8 b 1 (int 3));
        Station.send_packet router ~src ~dst ~next_header:kind ~hop_limit:255 b
      done;
      Env.sleep (Env.sec 60) >|= fun () ->
      check_int "all seen" 5_000 (min 5_000 (I.counters a.ip).received))

let () =
  let bad =
    { Network.perfect with reorder = 0.3; reorder_by = Env.ms 2; duplicate = 0.1; delay = Env.ms 1 }
  in
  Alcotest.run "ipv6"
    [
      ( "addresses",
        [
          case "ping_link_local" (run (ping_link_local ~immediate:false));
          case "ping_reentrant" (run (ping_link_local ~immediate:true));
          case "no_address_before_dad_is_over" (run no_address_before_dad_is_over);
          case "static_addresses" (run static_addresses);
          case "duplicate_of_an_address_in_use" (run (duplicate_address ~order:`Later));
          case "two_tentative_duplicates" (run (duplicate_address ~order:`Together));
          case "who_looks_for_duplicates_gives_no_link_address"
            who_looks_for_duplicates_gives_no_link_address;
          case "optimistic_is_used_and_overrides_nothing" optimistic_is_used_and_overrides_nothing;
          case "optimistic_asks_for_nobody" optimistic_asks_for_nobody;
          case "optimistic_gives_up" optimistic_gives_up;
        ] );
      ( "routers",
        [
          case "slaac" (run slaac);
          case "a_forged_advertisement_leaves_two_hours"
            (run a_forged_advertisement_leaves_two_hours);
          case "advertisements_from_afar_are_ignored" (run advertisements_from_afar_are_ignored);
          case "advertisements_in_pieces_are_ignored" (run advertisements_in_pieces_are_ignored);
          case "a_flood_of_advertisements_is_bounded" (run a_flood_of_advertisements_is_bounded);
          case "claimed_addresses_are_bounded" claimed_addresses_are_bounded;
          case "an_hour_for_an_answer_is_not_believed" an_hour_for_an_answer_is_not_believed;
          case "a_group_is_no_neighbours_link_address" a_group_is_no_neighbours_link_address;
          case "a_prefix_that_was_given_is_not_ended" a_prefix_that_was_given_is_not_ended;
          case "a_router_that_is_a_host_now_is_not_used" a_router_that_is_a_host_now_is_not_used;
          case "the_link_comes_back_elsewhere" the_link_comes_back_elsewhere;
          case "name_servers_that_cannot_be" name_servers_that_cannot_be;
          case "redirects_are_ignored" (run redirects_are_ignored);
          case "answers_solicitations" (run answers_and_joins);
          case "listener_queries_are_answered" (run listener_queries_are_answered);
          case "unreachable_router_is_replaced" (run unreachable_router_is_replaced);
        ] );
      ( "packets",
        [
          case "udp" (run (udp ~size:1000 ~conditions:Network.perfect));
          case "udp_fragments" (run (udp ~size:30_000 ~conditions:Network.perfect));
          case "udp_fragments_in_any_order" (run (udp ~size:30_000 ~conditions:bad));
          case "port_unreachable" (run port_unreachable);
          case "packet_too_big" (run packet_too_big);
          case "unknown_options_are_reported" (run unknown_options_are_reported);
          case "survives_random_packets" (run survives_random_packets);
        ] );
    ]
