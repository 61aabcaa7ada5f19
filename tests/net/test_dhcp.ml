(* The DHCP client: its messages, its engine against scripts, and a whole stack against a server played
   by hand. *)

open Mirust_net_engine
open Mirust_net_env
open Mirust_netif
open Mirust_net_mock
open Lwt.Infix
module W = Mirust_wire
module D = W.Dhcpv4
module E = Dhcp_engine

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let v4 = Ipaddr.V4.of_string_exn
let mac = Macaddr.of_string_exn "02:00:00:00:00:01"
let second = 1_000_000_000

(* {1 Messages} *)

let ack ?(kind = D.Ack) ?(lease = 3600) ?(your = "10.0.0.50") ?(server = "10.0.0.1") xid =
  {
    (D.empty kind ~reply:true ~xid mac) with
    your = v4 your;
    server = Some (v4 server);
    lease_time = Some lease;
    subnet_mask = Some (v4 "255.255.255.0");
    routers = [ v4 "10.0.0.1" ];
    dns = [ v4 "10.0.0.53"; v4 "10.0.0.54" ];
    domain_name = Some "example.net";
    mtu = Some 1400;
  }

let both_ways () =
  let m =
    {
      (ack 0x12345678) with
      renewal_time = Some 100;
      rebinding_time = Some 200;
      message = Some "hi";
    }
  in
  check_bool "reply" true (D.parse (D.emit m) = Ok m);
  let m =
    {
      (D.empty Discover ~reply:false ~xid:7 mac) with
      wanted = [ 1; 3; 6 ];
      host_name = Some "guest";
      requested = Some (v4 "10.0.0.9");
      client_id = Some "\001\002\003";
      broadcast = true;
      secs = 9;
    }
  in
  check_bool "request" true (D.parse (D.emit m) = Ok m);
  (* Options without a field of their own: one of 42, one that is longer than a part may be, one of nothing. *)
  let others =
    [ (42, "\010\000\000\042"); (119, String.init 600 (fun i -> Char.chr (i mod 251))); (224, "") ]
  in
  let m = { (ack 1) with others } in
  check_bool "others" true (D.parse (D.emit m) = Ok m);
  check_bool "all options" true
    (List.for_all (fun o -> List.mem o (D.options m)) ((54, "\010\000\000\001") :: others))

let golden () =
  let b = D.emit (D.empty Discover ~reply:false ~xid:0x3903f326 mac) in
  check_int "length" 300 (Cstruct.length b);
  Alcotest.(check string)
    "head" "010106003903f32600000000"
    (Cstruct.to_hex_string (Cstruct.sub b 0 12));
  Alcotest.(check string)
    "hardware address" "02000000000100000000000000000000"
    (Cstruct.to_hex_string (Cstruct.sub b 28 16));
  Alcotest.(check string) "options" "63825363350101ff" (Cstruct.to_hex_string (Cstruct.sub b 236 8))

let damaged () =
  let good = D.emit (ack 1) in
  for n = 0 to 239 do
    check_bool "short" true (D.parse (Cstruct.sub good 0 n) = Error Truncated)
  done;
  let with_options s =
    let b = Cstruct.append (Cstruct.sub good 0 240) (Cstruct.of_hex s) in
    D.parse b
  in
  check_bool "no type" true (with_options "ff" = Error Not_dhcp);
  check_bool "beyond" true (with_options "350105 3304 00" = Error (Bad_option 51));
  check_bool "no length" true (with_options "350105 33" = Error (Bad_option 51));
  check_bool "wrong length" true (with_options "350105 3303 000000 ff" = Error (Bad_option 51));
  (* What a lease can do without is ignored by itself. *)
  (match with_options "350105 0305 0a000001 00 1a00 0604 0a000009 33040000 0e10 ff" with
  | Ok { routers = []; mtu = None; dns = [ _ ]; lease_time = Some 3600; _ } -> ()
  | _ -> Alcotest.fail "bad optional options");
  (match with_options "350105 33040000 0e10 0309 0a000001" with
  | Ok { routers = []; lease_time = Some 3600; _ } -> ()
  | _ -> Alcotest.fail "an optional option beyond the end");
  check_bool "type" true (with_options "350163ff" = Error (Bad_option 53));
  check_bool "no end mark" true (Result.is_ok (with_options "350105"));
  (match with_options "350105 0304 0a000001 0304 0a000002 ff" with
  | Ok { routers = [ _; _ ]; _ } -> ()
  | _ -> Alcotest.fail "option in two parts");
  (* The first of several counts where only one makes sense, be they next to each other or not. *)
  (match
     with_options
       "350105 350105 3304 00000e10 0104 ffffff00 1a02 0578 3604 0a000001 0104 ffff0000 3304 \
        0000000f 1a02 05dc 3604 0a000002 ff"
   with
  | Ok { kind = Ack; lease_time = Some 3600; mtu = Some 1400; server; subnet_mask; _ } ->
      check_bool "server" true (server = Some (v4 "10.0.0.1"));
      check_bool "mask" true (subnet_mask = Some (v4 "255.255.255.0"))
  | _ -> Alcotest.fail "options that came twice");
  let overloaded = Cstruct.append (Cstruct.sub good 0 240) (Cstruct.of_hex "350105 340101 ff") in
  Cstruct.blit (Cstruct.of_hex "330400000e10ff") 0 overloaded 108 7;
  match D.parse overloaded with
  | Ok { lease_time = Some 3600; _ } -> ()
  | _ -> Alcotest.fail "overload"

let fuzz () =
  let rng = Random.State.make [| 11 |] in
  let int n = Random.State.int rng n in
  let good = D.emit { (ack 1) with wanted = [ 1; 2; 3 ] } in
  for _ = 1 to 20_000 do
    let b = Cstruct.of_string (Cstruct.to_string good) in
    for _ = 0 to int 8 do
      Cstruct.set_uint8 b (if int 2 = 0 then 240 + int 60 else int 300) (int 256)
    done;
    let b = Cstruct.sub b 0 (if int 3 = 0 then int 301 else 300) in
    match D.parse b with
    | Error _ -> ()
    | Ok m -> check_bool "again" true (D.parse (D.emit m) = Ok m)
  done

(* {1 The engine} *)

let engine ?host_name () = E.create ?host_name ~random:(fun n -> n / 2) mac
let state = Alcotest.testable E.pp_state ( = )
let check_state = Alcotest.check state

let describe : E.action -> string = function
  | Broadcast m -> Fmt.str "broadcast %a" D.pp_kind m.kind
  | Unicast { message; _ } -> Fmt.str "unicast %a" D.pp_kind message.kind
  | Configure l -> "configure " ^ Ipaddr.V4.Prefix.to_string l.address
  | Deconfigure -> "deconfigure"
  | Unusable { why; _ } -> "unusable: " ^ why
  | Silence n -> Fmt.str "silence of %d s" n

let check_actions name expected actions =
  Alcotest.(check (list string)) name expected (List.map describe actions)

let xid : E.action list -> int = function
  | Broadcast m :: _ | Unicast { message = m; _ } :: _ -> m.xid
  | _ -> Alcotest.fail "no message"

(* Up to a lease of an hour, at time 0. *)
let bound ?host_name () =
  let t = engine ?host_name () in
  let xid = xid (E.start t ~now:0) in
  check_actions "request" [ "broadcast request" ] (E.input t ~now:0 (ack ~kind:Offer xid));
  check_actions "bound" [ "configure 10.0.0.50/24" ] (E.input t ~now:0 (ack xid));
  check_state "state" Bound (E.state t);
  t

let what_is_asked_for_and_said () =
  let t = E.create ~wanted:[ 42; 6 ] ~random:(fun n -> n / 2) mac in
  let asked = E.start t ~now:0 in
  (match asked with
  | [ Broadcast m ] ->
      check_bool "asks for it" true (List.mem 42 m.wanted);
      check_int "once" 1 (List.length (List.filter (( = ) 6) m.wanted))
  | _ -> Alcotest.fail "no message");
  let xid = xid asked and others = [ (42, "\010\000\000\042") ] in
  ignore (E.input t ~now:0 { (ack ~kind:Offer xid) with others });
  ignore (E.input t ~now:0 { (ack xid) with others });
  let said = (Option.get (E.lease t)).options in
  check_bool "said" true (List.assoc_opt 42 said = Some "\010\000\000\042");
  check_bool "what has a field, too" true (List.assoc_opt 15 said = Some "example.net")

(* On the same network, on another whose server says so, and on another whose server does not know us. *)
let link_changes () =
  let t = bound () in
  let again = E.link_changed t ~now:(10 * second) in
  check_actions "asks" [ "broadcast request" ] again;
  (match again with
  | [ Broadcast m ] ->
      check_bool "for what it had" true (m.requested = Some (Ipaddr.V4.of_string_exn "10.0.0.50"));
      check_bool "as one without" true (m.server = None && m.client = Ipaddr.V4.any)
  | _ -> Alcotest.fail "no request");
  check_state "state" Rebooting (E.state t);
  check_bool "the lease is kept" true (E.lease t <> None);
  check_actions "confirmed" [ "configure 10.0.0.50/24" ]
    (E.input t ~now:(10 * second) (ack (xid again)));
  let again = E.link_changed t ~now:(20 * second) in
  check_actions "refused"
    [ "deconfigure"; "broadcast discover" ]
    (E.input t ~now:(20 * second) (ack ~kind:Nak (xid again)));
  let t = bound () in
  ignore (E.link_changed t ~now:(10 * second));
  let rec until_discover n =
    if n = 0 then Alcotest.fail "never asks for any"
    else
      let now = Option.get (E.next t) in
      match E.tick t ~now with
      | [ Broadcast { kind = Discover; _ } ] as l -> (now, xid l)
      | [ Broadcast { kind = Request; _ } ] -> until_discover (n - 1)
      | l -> Alcotest.failf "%a" Fmt.(list string) (List.map describe l)
  in
  let now, xid = until_discover 3 in
  check_bool "within some seconds" true (now < 20 * second);
  check_bool "the lease is kept" true (E.lease t <> None);
  check_actions "request" [ "broadcast request" ] (E.input t ~now (ack ~kind:Offer xid));
  check_actions "bound" [ "configure 10.0.0.50/24" ] (E.input t ~now (ack xid))

(* Between an offer and its acknowledgement, and while one is sought in place of an old one. *)
let link_changes_while_asking () =
  let t = engine () in
  let actions = E.start t ~now:0 in
  (match actions with
  | [ Broadcast m ] -> check_bool "without an address all is taken" false m.broadcast
  | _ -> Alcotest.fail "no discover");
  let first = xid actions in
  ignore (E.input t ~now:0 (ack ~kind:Offer first));
  let again = E.link_changed t ~now:second in
  check_actions "from the start" [ "broadcast discover" ] again;
  check_actions "the first network's" [] (E.input t ~now:second (ack first));
  check_actions "request" [ "broadcast request" ]
    (E.input t ~now:second (ack ~kind:Offer ~your:"10.1.0.50" (xid again)));
  check_actions "bound" [ "configure 10.1.0.50/24" ]
    (E.input t ~now:second (ack ~your:"10.1.0.50" (xid again)));
  let t = bound () in
  ignore (E.link_changed t ~now:(10 * second));
  let rec until state =
    if E.state t <> state then (
      ignore (E.tick t ~now:(Option.get (E.next t)));
      until state)
  in
  until Selecting;
  (* The address that is offered is not the one that we take packets for. *)
  (match E.tick t ~now:(Option.get (E.next t)) with
  | Broadcast m :: _ as actions -> (
      check_bool "a discover that is answered to all" true (m.kind = Discover && m.broadcast);
      let now = Option.get (E.next t) - second in
      match E.input t ~now (ack ~kind:Offer ~your:"10.1.0.50" (xid actions)) with
      | [ Broadcast m ] -> check_bool "a request that is" true (m.kind = Request && m.broadcast)
      | _ -> Alcotest.fail "no request")
  | _ -> Alcotest.fail "no discover");
  let now = 100 * second in
  let back = E.link_changed t ~now in
  check_actions "back" [ "broadcast request" ] back;
  check_actions "where it was" [ "configure 10.0.0.50/24" ] (E.input t ~now (ack (xid back)))

(* To the second, although it looks for another and is about to have one. *)
let a_lease_ends_whatever_is_being_done () =
  let short () =
    let t = engine () in
    let x = xid (E.start t ~now:0) in
    ignore (E.input t ~now:0 (ack ~kind:Offer x));
    ignore (E.input t ~now:0 (ack ~lease:60 x));
    t
  in
  let rec end_of t =
    let at = Option.get (E.next t) in
    match E.tick t ~now:at with E.Deconfigure :: _ -> at | _ -> end_of t
  in
  let check name t =
    check_int name (60 * second) (end_of t);
    check_bool "none" true (E.lease t = None)
  in
  let t = short () in
  ignore (E.link_changed t ~now:(59 * second));
  check "asking for it" t;
  let t = short () in
  ignore (E.link_changed t ~now:(20 * second));
  check "asking for any" t;
  let t = short () in
  ignore (E.link_changed t ~now:(20 * second));
  while E.state t <> Selecting do
    ignore (E.tick t ~now:(Option.get (E.next t)))
  done;
  let x = xid (E.tick t ~now:(Option.get (E.next t))) in
  ignore (E.input t ~now:(59 * second) (ack ~kind:Offer ~your:"10.0.0.51" x));
  check_state "offered" Requesting (E.state t);
  check "asking for another" t

let silence_is_told () =
  let t = engine () in
  ignore (E.start t ~now:0);
  let rec go n =
    let now = Option.get (E.next t) in
    let l = E.tick t ~now in
    if List.exists (function E.Silence _ -> true | _ -> false) l then now
    else if n = 0 then Alcotest.fail "no word"
    else go (n - 1)
  in
  let at = go 10 in
  check_bool "after some seconds" true (at > 5 * second && at < 30 * second)

let offers_of_no_use () =
  let try_one name change =
    let t = engine () in
    let xid = xid (E.start t ~now:0) in
    match E.input t ~now:0 (change (ack ~kind:Offer xid)) with
    | [ Unusable _ ] -> check_state name Selecting (E.state t)
    | l -> Alcotest.failf "%s: %a" name Fmt.(list string) (List.map describe l)
  in
  try_one "no time" (fun (m : D.t) -> { m with lease_time = None });
  try_one "a mask with gaps" (fun (m : D.t) -> { m with subnet_mask = Some (v4 "255.0.255.0") });
  try_one "no server" (fun (m : D.t) -> { m with server = None });
  List.iter
    (fun a -> try_one a (fun (m : D.t) -> { m with your = Ipaddr.V4.of_string_exn a }))
    [ "0.0.0.0"; "127.0.0.1"; "224.0.0.1"; "10.0.0.0"; "10.0.0.255"; "250.0.0.1" ]

(* Others of the list may do. *)
let routers_and_name_servers_that_cannot_be () =
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  let list l = List.map v4 l in
  let m =
    {
      (ack x) with
      routers =
        list
          [
            "10.0.0.50";
            "0.0.0.0";
            "127.0.0.1";
            "10.0.0.255";
            "10.0.0.0";
            "224.0.0.1";
            "255.255.255.255";
            "10.0.0.3";
            "192.0.2.1";
          ];
      dns = list [ "0.0.0.0"; "127.0.0.53"; "255.255.255.255"; "224.0.0.251"; "192.0.2.53" ];
    }
  in
  ignore (E.input t ~now:0 { m with kind = Offer });
  match E.input t ~now:0 m with
  | [ Configure lease ] ->
      (* One that is elsewhere is on the link nevertheless. *)
      check_bool "routers" true (lease.routers = list [ "10.0.0.3"; "192.0.2.1" ]);
      check_bool "name servers" true (lease.dns = list [ "192.0.2.53" ])
  | l -> Alcotest.failf "%a" Fmt.(list string) (List.map describe l)

(* The time and the actions of the next tick. *)
let step t =
  match E.next t with None -> Alcotest.fail "nothing to come" | Some at -> (at, E.tick t ~now:at)

let life_of_a_lease () =
  let t = bound () in
  let at, actions = step t in
  check_int "T1" (1800 * second) at;
  check_actions "renewal" [ "unicast request" ] actions;
  (match actions with
  | [ Unicast { server; message } ] ->
      check_bool "server" true (server = v4 "10.0.0.1");
      check_bool "ciaddr" true (message.client = v4 "10.0.0.50");
      check_bool "names neither" true (message.requested = None && message.server = None)
  | _ -> ());
  (* Unanswered until T2: several times, then to everyone; then the end. *)
  let rec until_rebinding n =
    let at, actions = step t in
    match actions with
    | [ Unicast _ ] -> until_rebinding (n + 1)
    | [ Broadcast m ] ->
        check_int "T2" (3150 * second) at;
        check_bool "retries" true (n >= 3 && n < 12);
        check_bool "ciaddr" true (m.client = v4 "10.0.0.50")
    | _ -> Alcotest.fail "renewing"
  in
  until_rebinding 0;
  check_state "state" Rebinding (E.state t);
  let rec until_end () =
    let at, actions = step t in
    match actions with
    | [ Broadcast _ ] -> until_end ()
    | actions ->
        check_int "end" (3600 * second) at;
        check_actions "end" [ "deconfigure"; "broadcast discover" ] actions
  in
  until_end ()

let renewal_moves_the_end () =
  let t = bound () in
  let at, actions = step t in
  let renewed = E.input t ~now:at (ack ~lease:7200 (xid actions)) in
  check_actions "renewed" [ "configure 10.0.0.50/24" ] renewed;
  check_bool "next" true (E.next t = Some (at + (3600 * second)))

let infinite_lease () =
  let t = engine () in
  let xid = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer xid));
  ignore (E.input t ~now:0 (ack ~lease:0xffffffff xid));
  check_bool "no timer" true (E.next t = None)

let discover_is_repeated_with_backoff () =
  let t = engine () in
  ignore (E.start t ~now:0);
  let rec intervals n last =
    if n = 0 then []
    else
      let at, actions = step t in
      let messages = List.filter (function E.Silence _ -> false | _ -> true) actions in
      check_actions "discover" [ "broadcast discover" ] messages;
      ((at - last) / second) :: intervals (n - 1) at
  in
  Alcotest.(check (list int)) "seconds" [ 2; 4; 8; 16; 32; 64; 64 ] (intervals 7 0)

let silent_after_the_offer () =
  let t = engine () in
  let first = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer first));
  for _ = 1 to 4 do
    check_actions "again" [ "broadcast request" ] (snd (step t))
  done;
  let _, actions = step t in
  check_actions "from the start"
    [ "unusable: the server does not confirm it"; "broadcast discover" ]
    actions

(* Servers that are faster than a good one offer what they do not give: they refuse, or say no more. *)
let a_server_that_gives_nothing_does_not_keep_others_out () =
  let bad = [ "10.0.0.66"; "10.0.0.67" ] in
  let rec until_discover t now = function
    | E.Broadcast { kind = Discover; xid; _ } :: _ -> (now, xid)
    | _ :: rest -> until_discover t now rest
    | [] ->
        let now = Option.get (E.next t) in
        until_discover t now (E.tick t ~now)
  in
  (* The time and the number of the question after all of them have failed. *)
  let failed t fail =
    let one (now, x) server =
      check_actions "an offer" [ "broadcast request" ] (E.input t ~now (ack ~kind:Offer ~server x));
      until_discover t now (fail t ~now ~server x)
    in
    List.fold_left one (0, xid (E.start t ~now:0)) bad
  in
  let refuse t ~now ~server x = E.input t ~now (ack ~kind:Nak ~server x) in
  let try_one name fail =
    let t = engine () in
    let now, again = failed t fail in
    List.iter
      (fun server ->
        check_actions (name ^ ": the same again") []
          (E.input t ~now (ack ~kind:Offer ~server again)))
      bad;
    let offer = ack ~kind:Offer again in
    check_actions (name ^ ": another") [ "broadcast request" ] (E.input t ~now offer);
    check_actions (name ^ ": bound") [ "configure 10.0.0.50/24" ] (E.input t ~now (ack again))
  in
  try_one "refused" refuse;
  try_one "silent" (fun _ ~now:_ ~server:_ _ -> []);
  (* On another network, the same address is another server's. *)
  let t = engine () in
  let now, _ = failed t refuse in
  let x = xid (E.link_changed t ~now) in
  check_actions "elsewhere" [ "broadcast request" ]
    (E.input t ~now (ack ~kind:Offer ~server:(List.hd bad) x));
  (* Where there is no other, it is asked again. *)
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer x));
  ignore (E.input t ~now:0 (ack ~kind:Nak x));
  let x = xid (E.tick t ~now:(Option.get (E.next t))) in
  let now = Option.get (E.next t) in
  check_actions "repeats" [ "broadcast discover" ] (E.tick t ~now);
  check_actions "takes it" [ "broadcast request" ] (E.input t ~now (ack ~kind:Offer x));
  check_actions "bound" [ "configure 10.0.0.50/24" ] (E.input t ~now (ack x))

let naks () =
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer x));
  check_actions "another server's" [] (E.input t ~now:0 (ack ~kind:Nak ~server:"10.0.0.66" x));
  check_actions "the server's"
    [ "unusable: the server refuses it after all" ]
    (E.input t ~now:0 (ack ~kind:Nak x));
  check_state "waits" Init (E.state t);
  let at, actions = step t in
  check_bool "a second at least" true (at >= second);
  check_actions "again" [ "broadcast discover" ] actions;
  let t = bound () in
  let at, actions = step t in
  check_actions "in renewal" [ "deconfigure" ] (E.input t ~now:at (ack ~kind:Nak (xid actions)))

let strangers_are_ignored () =
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  let ignored name m = check_actions name [] (E.input t ~now:0 m) in
  ignored "xid" (ack ~kind:Offer (x + 1));
  ignored "hardware address" { (ack ~kind:Offer x) with mac = Macaddr.broadcast };
  ignored "a request" { (ack ~kind:Offer x) with reply = false };
  ignored "ack without request" (ack x);
  ignore (E.input t ~now:0 (ack ~kind:Offer x));
  ignored "another address" (ack ~your:"10.0.0.51" x);
  ignored "another server" (ack ~server:"10.0.0.66" x);
  ignored "a late offer" (ack ~kind:Offer ~server:"10.0.0.66" x);
  check_actions "at last" [ "configure 10.0.0.50/24" ] (E.input t ~now:0 (ack x));
  ignored "when bound" (ack ~lease:60 x)

let impossible_times () =
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer x));
  ignore (E.input t ~now:0 { (ack x) with renewal_time = Some 9999; rebinding_time = Some 9999 });
  check_bool "T1 by default" true (E.next t = Some (1800 * second));
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer x));
  ignore (E.input t ~now:0 (ack ~lease:0 x));
  check_bool "a lease of nothing" true (E.next t = Some (30 * second));
  (* Answered at once, it would be renewed as often as the wire allows. *)
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer x));
  ignore (E.input t ~now:0 { (ack x) with renewal_time = Some 1; rebinding_time = Some 1 });
  check_bool "at once" true (E.next t = Some (1800 * second));
  (* What is left between the two is never so little. *)
  let first_renewal m =
    let t = engine () in
    let x = xid (E.start t ~now:0) in
    ignore (E.input t ~now:0 (ack ~kind:Offer x));
    ignore (E.input t ~now:0 (m (ack x)));
    Option.get (E.next t)
  in
  let check name m =
    if first_renewal m < 30 * second then Alcotest.failf "%s: %d s" name (first_renewal m / second)
  in
  check_bool "T2 too early" true
    (first_renewal (fun m -> { m with rebinding_time = Some 30 }) = 1800 * second);
  check "T1 behind T2" (fun m -> { m with renewal_time = Some 100; rebinding_time = Some 40 });
  check "a short lease" (fun m -> { m with lease_time = Some 60; renewal_time = Some 55 })

(* The offer was usable, or the lease was; what confirms it is not. *)
let acknowledgements_of_no_use () =
  let everything (m : D.t) = { m with subnet_mask = Some Ipaddr.V4.any } in
  let broadcast (m : D.t) = { m with subnet_mask = Some (v4 "255.255.255.252") } in
  let t = engine () in
  let x = xid (E.start t ~now:0) in
  ignore (E.input t ~now:0 (ack ~kind:Offer ~your:"10.0.0.51" x));
  let refused name m =
    match E.input t ~now:0 m with
    | [ Unusable _ ] -> ()
    | l -> Alcotest.failf "%s: %a" name Fmt.(list string) (List.map describe l)
  in
  refused "gaps" { (ack ~your:"10.0.0.51" x) with subnet_mask = Some (v4 "255.0.255.0") };
  refused "everything" (everything (ack ~your:"10.0.0.51" x));
  refused "the broadcast address" (broadcast (ack ~your:"10.0.0.51" x));
  check_state "still asking" Requesting (E.state t);
  check_actions "usable" [ "configure 10.0.0.51/24" ] (E.input t ~now:0 (ack ~your:"10.0.0.51" x));
  let at, actions = step t in
  match E.input t ~now:at (everything (ack ~your:"10.0.0.51" (xid actions))) with
  | [ Unusable _ ] -> check_state "kept" Renewing (E.state t)
  | l -> Alcotest.failf "renewal: %a" Fmt.(list string) (List.map describe l)

let declined_and_stopped () =
  let now = 7 * second in
  let t = bound ~host_name:"guest" () in
  let last_words : E.action list -> unit = function
    | Broadcast m :: _ | Unicast { message = m; _ } :: _ | [ Deconfigure; Broadcast m ] ->
        check_bool "no name" true (m.host_name = None);
        check_bool "no question" true (m.wanted = []);
        check_int "no time" 0 m.secs
    | _ -> Alcotest.fail "no message"
  in
  let actions = E.declined t ~now in
  check_actions "declined" [ "deconfigure"; "broadcast decline" ] actions;
  last_words actions;
  check_bool "pause" true (E.next t = Some (now + (10 * second)));
  let t = bound ~host_name:"guest" () in
  let actions = E.stop t ~now in
  check_actions "released" [ "unicast release"; "deconfigure" ] actions;
  last_words actions;
  check_bool "no timer" true (E.next t = None)

(* Who answers every question does not get us to decline all that the server has. *)
let declined_again_and_again () =
  let t = engine () in
  ignore (E.start t ~now:0);
  let rec declines ~now n =
    if n = 0 then []
    else
      let x = xid (E.tick t ~now) in
      ignore (E.input t ~now (ack ~kind:Offer x));
      check_actions "bound" [ "configure 10.0.0.50/24" ] (E.input t ~now (ack x));
      ignore (E.declined t ~now);
      let next = Option.get (E.next t) in
      ((next - now) / second) :: declines ~now:next (n - 1)
  in
  let check_waits = Alcotest.(check (list int)) in
  check_waits "longer each time"
    [ 10; 20; 40; 80; 160; 320; 640; 640 ]
    (declines ~now:(Option.get (E.next t)) 8);
  (* Another network, perhaps. *)
  let now = Option.get (E.next t) - (600 * second) in
  check_actions "nothing yet" [] (E.link_changed t ~now);
  check_int "soon" (now + (10 * second)) (Option.get (E.next t));
  check_waits "as at first" [ 10; 20 ] (declines ~now:(Option.get (E.next t)) 2);
  (* One that lasts. *)
  let now = Option.get (E.next t) in
  let x = xid (E.tick t ~now) in
  ignore (E.input t ~now (ack ~kind:Offer x));
  ignore (E.input t ~now (ack x));
  let now, renewal = step t in
  ignore (E.input t ~now (ack (xid renewal)));
  ignore (E.declined t ~now);
  check_int "as at first" (now + (10 * second)) (Option.get (E.next t))

(* {1 A stack} *)

(* A server on the wire: answers by the function, and remembers what it was sent. *)
let server network answer =
  let mac = Macaddr.of_string_exn "02:00:00:00:00:99" in
  let netif = Netif.connect (Network.attach network mac) in
  let link = Mirust_tcpip.Link.of_netif netif in
  let arp = Mirust_tcpip.Arp_core.create link in
  let ip = Mirust_tcpip.Ipv4_core.(create link (resolver_of_arp arp)) in
  let module U = Mirust_tcpip.Udp.Make (Mirust_tcpip.Ipv4_core) in
  Mirust_tcpip.Ipv4_core.set_routes ip
    Routes.(add_address (Ipaddr.V4.Prefix.of_string_exn "10.0.0.1/24") empty);
  Lwt.async (fun () -> Mirust_tcpip.Arp_core.add_ip arp (v4 "10.0.0.1"));
  U.connect ip >|= fun udp ->
  let log = ref [] in
  U.listen udp ~port:67 (fun ~src ~dst:_ ~src_port:_ b ->
      match D.parse b with
      | Error _ -> Lwt.return_unit
      | Ok m -> (
          log := Fmt.str "%a" D.pp_kind m.kind :: !log;
          match answer m with
          | None -> Lwt.return_unit
          | Some reply ->
              let dst =
                if Ipaddr.V4.compare src Ipaddr.V4.any = 0 then Ipaddr.V4.broadcast else src
              in
              U.write ~src_port:67 ~dst ~dst_port:68 udp (D.emit reply) >|= ignore));
  Netif.listen_packets netif
    (List.iter (fun (p : W.Packet.t) ->
         let payload = { p with data = W.Ethernet.payload p.data } in
         match W.Ethernet.get_ethertype p.data with
         | 0x0806 -> Mirust_tcpip.Arp_core.input_packet arp payload.data
         | 0x0800 ->
             Mirust_tcpip.Ipv4_core.input_packet ip ~at:0 payload
               ~tcp:(fun ~src:_ ~dst:_ ~tos:_ _ -> ())
               ~udp:(U.input_packet udp)
               ~default:(fun ~proto:_ ~src:_ ~dst:_ ~tos:_ _ -> ())
         | _ -> ()));
  log

let honest (m : D.t) =
  match m.kind with
  | Discover -> Some (ack ~kind:Offer m.xid)
  | Request -> Some (ack m.xid)
  | Offer | Decline | Ack | Nak | Release | Inform -> None

let with_stack ?conditions ?(others = fun _ -> Lwt.return_unit) answer f () =
  let mock = Mock.install () in
  let network = Network.create ?conditions () in
  Mock.run mock
    ( server network answer >>= fun log ->
      others network >>= fun () ->
      let open Mirust_stack in
      Stack.connect { Stack.default with ipv4 = `Dhcp; ipv6 = `Off } (Network.attach network mac)
      >>= fun stack -> f stack log )

let addresses stack =
  List.map Ipaddr.Prefix.to_string
    (Mirust_stack.Stack.IP.configured_ips (Mirust_stack.Stack.ip stack))

let a_stack_gets_an_address =
  with_stack honest (fun stack log ->
      let open Mirust_stack in
      Stack.ready stack >>= fun () ->
      Alcotest.(check (list string)) "address" [ "10.0.0.50/24" ] (addresses stack);
      check_int "name servers" 2 (List.length (Stack.dns stack));
      check_int "mtu" 1380 (Stack.IP.mtu (Stack.ip stack) ~dst:(Ipaddr.V4 (v4 "10.0.0.7")));
      check_bool "answered for" true
        (Mirust_tcpip.Arp_core.get_ips (Stack.arp stack) = [ v4 "10.0.0.50" ]);
      check_bool "default route" true
        (Result.is_ok (Stack.IP.path (Stack.ip stack) (Ipaddr.V4 (v4 "192.0.2.1"))));
      Env.sleep (Env.sec 10_000) >>= fun () ->
      Alcotest.(check (list string)) "still" [ "10.0.0.50/24" ] (addresses stack);
      check_bool "renewed" true (List.length !log >= 6);
      Stack.disconnect stack >>= fun () ->
      Env.sleep (Env.ms 1) >|= fun () -> Alcotest.(check string) "released" "release" (List.hd !log))

(* A station that has an address of its own, whatever a server says. *)
let squatter address network =
  let netif = Netif.connect (Network.attach network (Macaddr.of_string_exn "02:00:00:00:00:77")) in
  let arp = Mirust_tcpip.Arp_core.create (Mirust_tcpip.Link.of_netif netif) in
  Netif.listen_packets netif
    (List.iter (fun (p : W.Packet.t) ->
         if W.Ethernet.get_ethertype p.data = 0x0806 then
           Mirust_tcpip.Arp_core.input_packet arp (W.Ethernet.payload p.data)));
  Mirust_tcpip.Arp_core.add_ip arp (v4 address)

let an_address_in_use_is_declined =
  let declined = ref false in
  let answer (m : D.t) =
    let your = if !declined then "10.0.0.51" else "10.0.0.50" in
    match m.kind with
    | Discover -> Some (ack ~kind:Offer ~your m.xid)
    | Request -> Some (ack ~your m.xid)
    | Decline ->
        check_bool "which" true (m.requested = Some (v4 "10.0.0.50"));
        declined := true;
        None
    | Offer | Ack | Nak | Release | Inform -> None
  in
  let wire = ref None in
  let others network =
    wire := Some network;
    squatter "10.0.0.50" network
  in
  with_stack ~others answer (fun stack log ->
      Env.sleep (Env.sec 1) >>= fun () ->
      Alcotest.(check (list string)) "none" [] (addresses stack);
      Alcotest.(check (list string)) "said" [ "decline"; "request"; "discover" ] !log;
      Env.sleep (Env.sec 20) >>= fun () ->
      Alcotest.(check (list string)) "another" [ "10.0.0.51/24" ] (addresses stack);
      (* Who comes later gets nothing by it. *)
      squatter "10.0.0.51" (Option.get !wire) >>= fun () ->
      Env.sleep (Env.sec 20) >|= fun () ->
      Alcotest.(check (list string)) "kept" [ "10.0.0.51/24" ] (addresses stack))

let losses_are_survived =
  with_stack ~conditions:{ Network.perfect with drop = 0.4 } honest (fun stack _ ->
      Mirust_stack.Stack.ready stack >|= fun () ->
      Alcotest.(check (list string)) "address" [ "10.0.0.50/24" ] (addresses stack))

let a_server_that_dies =
  let alive = ref true in
  with_stack
    (fun m -> if !alive then honest m else None)
    (fun stack _ ->
      Mirust_stack.Stack.ready stack >>= fun () ->
      alive := false;
      Env.sleep (Env.sec 3500) >>= fun () ->
      check_int "kept" 1 (List.length (addresses stack));
      Env.sleep (Env.sec 200) >>= fun () ->
      check_int "lost" 0 (List.length (addresses stack));
      alive := true;
      Env.sleep (Env.sec 100) >|= fun () -> check_int "back" 1 (List.length (addresses stack)))

let () =
  Alcotest.run "dhcp"
    [
      ( "messages",
        [
          case "both_ways" both_ways; case "golden" golden; case "damaged" damaged; case "fuzz" fuzz;
        ] );
      ( "engine",
        [
          case "life_of_a_lease" life_of_a_lease;
          case "renewal_moves_the_end" renewal_moves_the_end;
          case "infinite_lease" infinite_lease;
          case "discover_is_repeated_with_backoff" discover_is_repeated_with_backoff;
          case "silent_after_the_offer" silent_after_the_offer;
          case "naks" naks;
          case "a_server_that_gives_nothing_does_not_keep_others_out"
            a_server_that_gives_nothing_does_not_keep_others_out;
          case "strangers_are_ignored" strangers_are_ignored;
          case "impossible_times" impossible_times;
          case "acknowledgements_of_no_use" acknowledgements_of_no_use;
          case "declined_and_stopped" declined_and_stopped;
          case "declined_again_and_again" declined_again_and_again;
          case "what_is_asked_for_and_said" what_is_asked_for_and_said;
          case "link_changes" link_changes;
          case "link_changes_while_asking" link_changes_while_asking;
          case "a_lease_ends_whatever_is_being_done" a_lease_ends_whatever_is_being_done;
          case "routers_and_name_servers_that_cannot_be" routers_and_name_servers_that_cannot_be;
          case "silence_is_told" silence_is_told;
          case "offers_of_no_use" offers_of_no_use;
        ] );
      ( "stack",
        [
          case "a_stack_gets_an_address" a_stack_gets_an_address;
          case "an_address_in_use_is_declined" an_address_in_use_is_declined;
          case "losses_are_survived" losses_are_survived;
          case "a_server_that_dies" a_server_that_dies;
        ] );
    ]
