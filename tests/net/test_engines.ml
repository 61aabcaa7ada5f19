(* The engines below IP, by script: neighbours, ARP, routes, reassembly. *)

open Mirust_net_engine
module W = Mirust_wire

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let check_strings = Alcotest.(check (list string))
let second = 1_000_000_000
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let v4 = Ipaddr.V4.of_string_exn
let cidr = Ipaddr.V4.Prefix.of_string_exn

module Neighbour_tests = struct
  module N = Neighbour

  let show : (int, string) N.action -> string = function
    | Solicit { target; unicast = None } -> Printf.sprintf "ask all for %d" target
    | Solicit { target; unicast = Some _ } -> Printf.sprintf "ask %d" target
    | Transmit { packet; mac = m } ->
        Printf.sprintf "send %s to %c" packet (Macaddr.to_string m).[16]
    | Unreachable { target; packets } ->
        Printf.sprintf "%d unreachable: %s" target (String.concat " " packets)
    | Overflow p -> "drop " ^ p

  let check name expected actions = check_strings name expected (List.map show actions)

  let state t n =
    match List.find_opt (fun (a, _, _) -> a = n) (N.entries t ~now:0) with
    | None -> "none"
    | Some (_, s, _) -> Fmt.to_to_string N.pp_state s

  (* A neighbour in each state, with the link address 1, at time 0. *)
  let prepare want =
    let t = N.create N.default in
    (match want with
    | "none" -> ()
    | "incomplete" -> check "ask" [ "ask all for 1" ] (N.send t ~now:0 1 "p")
    | _ ->
        ignore (N.send t ~now:0 1 "p");
        ignore (N.advertised t ~now:0 1 ~mac:(Some (mac 1)) ~solicited:true ~override:true));
    (match want with
    | "stale" | "delay" | "probe" ->
        ignore (N.heard t ~now:0 1 (mac 2));
        ignore (N.heard t ~now:0 1 (mac 1))
    | _ -> ());
    (match want with "delay" | "probe" -> ignore (N.send t ~now:0 1 "q") | _ -> ());
    if want = "probe" then check "probe" [ "ask 1" ] (N.tick t ~now:(5 * second));
    Alcotest.(check string) "prepared" want (state t 1);
    t

  (* RFC 4861 section 7.2.5 and appendix C: every state with every kind of advertisement. *)
  let advertisements () =
    let states = [ "none"; "incomplete"; "reachable"; "stale"; "delay"; "probe" ] in
    let row ~mac:m ~solicited ~override expected =
      List.iter2
        (fun from to_ ->
          let t = prepare from in
          ignore (N.advertised t ~now:0 1 ~mac:(Option.map mac m) ~solicited ~override);
          Alcotest.(check string)
            (Printf.sprintf "%s, mac %d, solicited %b, override %b" from (Option.value m ~default:0)
               solicited override)
            to_ (state t 1))
        states expected
    in
    let s = "stale" and r = "reachable" and d = "delay" and p = "probe" and i = "incomplete" in
    row ~mac:(Some 1) ~solicited:true ~override:true [ "none"; r; r; r; r; r ];
    row ~mac:(Some 1) ~solicited:true ~override:false [ "none"; r; r; r; r; r ];
    row ~mac:(Some 1) ~solicited:false ~override:true [ "none"; s; r; s; d; p ];
    row ~mac:(Some 1) ~solicited:false ~override:false [ "none"; s; r; s; d; p ];
    row ~mac:(Some 2) ~solicited:true ~override:true [ "none"; r; r; r; r; r ];
    row ~mac:(Some 2) ~solicited:true ~override:false [ "none"; r; s; s; d; p ];
    row ~mac:(Some 2) ~solicited:false ~override:true [ "none"; s; s; s; s; s ];
    row ~mac:(Some 2) ~solicited:false ~override:false [ "none"; s; s; s; d; p ];
    row ~mac:None ~solicited:true ~override:true [ "none"; i; r; r; r; r ];
    row ~mac:None ~solicited:false ~override:false [ "none"; i; r; s; d; p ]

  let resolution () =
    let t = N.create N.default in
    check "first" [ "ask all for 1" ] (N.send t ~now:0 1 "a");
    check "second" [] (N.send t ~now:0 1 "b");
    check "in order" [ "send a to 1"; "send b to 1" ]
      (N.advertised t ~now:0 1 ~mac:(Some (mac 1)) ~solicited:true ~override:false);
    check "known" [ "send c to 1" ] (N.send t ~now:0 1 "c")

  let nobody () =
    let t = N.create N.default in
    ignore (N.send t ~now:0 1 "a");
    check_bool "next" true (N.next t = Some second);
    check "too early" [] (N.tick t ~now:(second - 1));
    check "again" [ "ask all for 1" ] (N.tick t ~now:second);
    check "and again" [ "ask all for 1" ] (N.tick t ~now:(2 * second));
    check "gives up" [ "1 unreachable: a" ] (N.tick t ~now:(3 * second));
    check_bool "no timer" true (N.next t = None)

  let ageing () =
    let t = prepare "reachable" in
    let e = N.find t 1 in
    check_bool "fresh" true (N.fresh e ~now:((30 * second) - 1));
    check_bool "aged" false (N.fresh e ~now:(30 * second));
    check "is used meanwhile" [ "send x to 1" ] (N.send t ~now:(30 * second) 1 "x");
    check "verified after five seconds" [ "ask 1" ] (N.tick t ~now:(35 * second));
    check "twice" [ "ask 1" ] (N.tick t ~now:(36 * second));
    check "three times" [ "ask 1" ] (N.tick t ~now:(37 * second));
    check "gone" [ "1 unreachable: " ] (N.tick t ~now:(38 * second));
    check_bool "dead entry" false (N.fresh e ~now:0)

  let confirmation () =
    let t = prepare "probe" in
    N.confirm (N.find t 1) t ~now:(5 * second);
    Alcotest.(check string) "reachable" "reachable" (state t 1);
    check_bool "no timer" true (N.next t = None)

  (* Who is not there any more is used for three seconds longer, and not for as long as he was believed in. *)
  let after_the_link_was_away () =
    let t = prepare "reachable" in
    ignore (N.heard t ~now:0 2 (mac 2));
    ignore (N.send t ~now:0 3 "x");
    N.doubt t ~now:second;
    Alcotest.(check string) "who was never sent to" "none" (state t 2);
    Alcotest.(check string) "who was asked already" "incomplete" (state t 3);
    check "is used meanwhile" [ "send y to 1" ] (N.send t ~now:second 1 "y");
    check "asked at once" [ "ask all for 3"; "ask 1" ] (N.tick t ~now:second);
    check "again" [ "ask all for 3"; "ask 1" ] (N.tick t ~now:(2 * second));
    check "and again" [ "3 unreachable: x"; "ask 1" ] (N.tick t ~now:(3 * second));
    check "gone" [ "1 unreachable: " ] (N.tick t ~now:(4 * second));
    let t = prepare "stale" in
    N.doubt t ~now:second;
    check "asked" [ "ask 1" ] (N.tick t ~now:second);
    ignore (N.advertised t ~now:second 1 ~mac:(Some (mac 1)) ~solicited:true ~override:true);
    Alcotest.(check string) "still there" "reachable" (state t 1)

  let bounds () =
    let t = N.create { N.default with capacity = 8; queue = 2 } in
    ignore (N.send t ~now:0 1 "a");
    ignore (N.send t ~now:0 1 "b");
    check "the oldest goes" [ "drop a" ] (N.send t ~now:0 1 "c");
    for n = 2 to 100 do
      ignore (N.heard t ~now:0 n (mac 1))
    done;
    check_int "entries" 8 (List.length (N.entries t ~now:0));
    Alcotest.(check string) "questions are kept" "incomplete" (state t 1)

  (* Neighbours 1 to 32 work. What a stranger then makes of the cache: [f] for each of 100 000 others. *)
  let flood f =
    let t = N.create { N.default with capacity = 64 } in
    for n = 1 to 32 do
      ignore (N.send t ~now:0 n "p");
      ignore (N.advertised t ~now:0 n ~mac:(Some (mac 1)) ~solicited:true ~override:true)
    done;
    let dropped = ref 0 in
    for n = 1000 to 101_000 do
      List.iter
        (function
          | N.Overflow _ -> incr dropped
          | N.Unreachable { packets; _ } -> dropped := !dropped + List.length packets
          | N.Solicit _ | N.Transmit _ -> ())
        (f t n)
    done;
    check_bool "bounded" true (List.length (N.entries t ~now:0) <= 64);
    (t, !dropped)

  let working t = List.length (List.filter (fun n -> state t n = "reachable") (List.init 32 succ))

  (* RFC 6583 section 7.1: unanswered questions do not push out what works. Each packet that waited is
     accounted for. *)
  let flood_of_questions () =
    let t, dropped = flood (fun t n -> N.send t ~now:0 n "x") in
    check_int "those that work" 32 (working t);
    let waiting =
      List.filter (fun (_, s, _) -> s = N.Incomplete) (N.entries t ~now:0) |> List.length
    in
    check_bool "questions" true (waiting <= 16);
    check_int "packets" 100_001 (dropped + waiting)

  let flood_of_forged_askers () =
    let t, _ = flood (fun t n -> N.heard t ~now:0 n (mac 2)) in
    check_int "those that work" 32 (working t)

  (* Even forged askers that are answered, and so are sent to, do not push out what is in use: those who
     use an entry only ask whether it is fresh. *)
  let flood_of_peers () =
    let entries = ref [] in
    let t, _ =
      flood (fun t n ->
          if !entries = [] then entries := List.init 32 (fun n -> N.find t (n + 1));
          List.iter (fun e -> ignore (N.fresh e ~now:0)) !entries;
          let heard = N.heard t ~now:0 n (mac 2) in
          heard @ N.send t ~now:0 n "x")
    in
    check_int "those that work" 32 (working t)

  let waiting_packets () =
    let t = N.create { N.default with capacity = 1024; queue = 16 } in
    let sent = ref 0 and dropped = ref 0 in
    for n = 1 to 200 do
      for _ = 1 to 16 do
        incr sent;
        List.iter (function N.Overflow _ -> incr dropped | _ -> ()) (N.send t ~now:0 n "x")
      done
    done;
    check_int "all together" (512 + !dropped) !sent;
    (* And they are let go of. *)
    let gone = ref 0 in
    for s = 1 to 4 do
      List.iter
        (function N.Unreachable { packets; _ } -> gone := !gone + List.length packets | _ -> ())
        (N.tick t ~now:(s * second))
    done;
    check_int "gone" 512 !gone;
    check_int "entries" 0 (List.length (N.entries t ~now:0));
    check_bool "no timer" true (N.next t = None)

  let tests =
    [
      case "advertisements" advertisements;
      case "resolution" resolution;
      case "nobody" nobody;
      case "ageing" ageing;
      case "confirmation" confirmation;
      case "after_the_link_was_away" after_the_link_was_away;
      case "bounds" bounds;
      case "flood_of_questions" flood_of_questions;
      case "flood_of_forged_askers" flood_of_forged_askers;
      case "flood_of_peers" flood_of_peers;
      case "waiting_packets" waiting_packets;
    ]
end

module Arp_tests = struct
  module A = Arp_engine

  let show : string A.action -> string = function
    | Send { destination; packet } ->
        Fmt.str "%s %a"
          (if Macaddr.compare destination Macaddr.broadcast = 0 then "all:" else "one:")
          W.Arp.pp packet
    | Transmit { packet; _ } -> "send " ^ packet
    | Unreachable { target; _ } -> Fmt.str "%a unreachable" Ipaddr.V4.pp target
    | Overflow p -> "drop " ^ p
    | Conflict { address; _ } -> Fmt.str "conflict over %a" Ipaddr.V4.pp address

  let check name expected actions = check_strings name expected (List.map show actions)

  let packet ?(operation = W.Arp.Request) ?(sender = 2) ?(target_mac = 0) sender_ip target_ip =
    {
      W.Arp.operation;
      sender_mac = mac sender;
      sender_ip = v4 sender_ip;
      target_mac = mac target_mac;
      target_ip = v4 target_ip;
    }

  let announce = "all: who-has 10.0.0.1 tell 10.0.0.1 (02:00:00:00:00:01)"
  let probe = "all: who-has 10.0.0.1 tell 0.0.0.0 (02:00:00:00:00:01)"

  let ours () =
    let t = A.create (mac 1) in
    check "announced" [ announce ] (A.add t ~now:0 (v4 "10.0.0.1"));
    t

  let announces () =
    let t = ours () in
    check "again" [ announce ] (A.tick t ~now:(2 * second));
    check_bool "twice" true (A.next t = None)

  let announces_again () =
    let t = ours () in
    ignore (A.tick t ~now:(2 * second));
    check "again" [ announce ] (A.announce_again t ~now:(10 * second));
    check_bool "twice" true (List.mem announce (List.map show (A.tick t ~now:(12 * second))))

  let answers () =
    let t = ours () in
    check "request"
      [ "one: 10.0.0.1 is-at 02:00:00:00:00:01" ]
      (A.input t ~now:0 (packet "10.0.0.2" "10.0.0.1"));
    check "the asker is known" [ "send x" ] (A.send t ~now:0 (v4 "10.0.0.2") "x");
    check "a probe"
      [ "one: 10.0.0.1 is-at 02:00:00:00:00:01" ]
      (A.input t ~now:0 (packet "0.0.0.0" "10.0.0.1"));
    check "for another" [] (A.input t ~now:0 (packet "10.0.0.2" "10.0.0.9"));
    check "our own, come back" [] (A.input t ~now:0 (packet ~sender:1 "10.0.0.1" "10.0.0.1"));
    check "from a group" []
      (A.input t ~now:0 { (packet "10.0.0.2" "10.0.0.1") with sender_mac = Macaddr.broadcast })

  let unasked_replies_make_no_entries () =
    let t = ours () in
    ignore (A.input t ~now:0 (packet ~operation:Reply ~target_mac:1 "10.0.0.7" "10.0.0.1"));
    check_int "entries" 0 (List.length (Neighbour.entries (A.neighbours t) ~now:0))

  let defence () =
    let t = ours () in
    let rival = packet "10.0.0.1" "10.0.0.1" in
    check "defended" [ "conflict over 10.0.0.1"; announce ] (A.input t ~now:0 rival);
    check "not again so soon" [ "conflict over 10.0.0.1" ] (A.input t ~now:(9 * second) rival);
    check "later" [ "conflict over 10.0.0.1"; announce ] (A.input t ~now:(10 * second) rival)

  (* A station that has the address has objected after two seconds; from then on it is ours. *)
  let claim () =
    let rival = packet "10.0.0.1" "10.0.0.1" in
    let at now =
      let t = A.create (mac 1) in
      check "asked" [ probe; announce ] (A.claim t ~now:(5 * second) (v4 "10.0.0.1"));
      A.input t ~now rival
    in
    check "its owner" [ "conflict over 10.0.0.1" ] (at ((7 * second) - 1));
    check "a rival" [ "conflict over 10.0.0.1"; announce ] (at (7 * second))

  let tests =
    [
      case "announces" announces;
      case "announces_again" announces_again;
      case "answers" answers;
      case "unasked_replies_make_no_entries" unasked_replies_make_no_entries;
      case "defence" defence;
      case "claim" claim;
    ]
end

module Route_tests = struct
  module R = Routes

  let table =
    R.empty
    |> R.add_address (cidr "10.0.0.2/24")
    |> R.add_address (cidr "192.168.1.2/16")
    |> R.add_route (cidr "0.0.0.0/0") ~gateway:(v4 "10.0.0.1")
    |> R.add_route (cidr "172.16.0.0/12") ~gateway:(v4 "192.168.9.9")
    |> R.add_route (cidr "172.16.5.0/24") ~gateway:(v4 "10.0.0.7")

  let show = function
    | Error e -> Fmt.to_to_string R.pp_error e
    | Ok (src, hop) ->
        Fmt.str "%a %s" Ipaddr.V4.pp src
          (match hop with
          | R.Link a -> Ipaddr.V4.to_string a
          | Broadcast -> "broadcast"
          | Multicast -> "multicast"
          | Local -> "local")

  let lookups () =
    List.iter
      (fun (dst, expected) -> Alcotest.(check string) dst expected (show (R.lookup table (v4 dst))))
      [
        ("10.0.0.9", "10.0.0.2 10.0.0.9");
        ("192.168.77.1", "192.168.1.2 192.168.77.1");
        ("8.8.8.8", "10.0.0.2 10.0.0.1");
        ("172.20.0.1", "192.168.1.2 192.168.9.9");
        ("172.16.5.9", "10.0.0.2 10.0.0.7");
        ("10.0.0.2", "10.0.0.2 local");
        ("10.0.0.255", "10.0.0.2 broadcast");
        ("192.168.255.255", "192.168.1.2 broadcast");
        ("255.255.255.255", "10.0.0.2 broadcast");
        ("224.0.0.251", "10.0.0.2 multicast");
        ("0.0.0.0", "not an address of a host");
      ];
    Alcotest.(check string)
      "given source" "192.168.1.2 10.0.0.9"
      (show (R.lookup ~src:(v4 "192.168.1.2") table (v4 "10.0.0.9")));
    Alcotest.(check string)
      "nothing" "no address configured"
      (show (R.lookup R.empty (v4 "10.0.0.9")));
    Alcotest.(check string)
      "broadcast from nowhere" "0.0.0.0 broadcast"
      (show (R.lookup R.empty Ipaddr.V4.broadcast));
    let alone = R.add_address (cidr "10.0.0.2/24") R.empty in
    Alcotest.(check string) "no gateway" "no gateway" (show (R.lookup alone (v4 "8.8.8.8")))

  let point_to_point () =
    let t = R.add_address (cidr "10.0.0.2/31") R.empty in
    Alcotest.(check string) "peer" "10.0.0.2 10.0.0.3" (show (R.lookup t (v4 "10.0.0.3")))

  let removal () =
    let t = R.remove_address (v4 "10.0.0.2") table in
    Alcotest.(check string) "routes of the link go" "no gateway" (show (R.lookup t (v4 "8.8.8.8")));
    Alcotest.(check string)
      "others stay" "192.168.1.2 192.168.9.9"
      (show (R.lookup t (v4 "172.16.5.9")))

  let tests =
    [ case "lookups" lookups; case "point_to_point" point_to_point; case "removal" removal ]
end

module Reassembly_tests = struct
  module R = Reassembly

  let data = Cstruct.of_string (String.init 4000 (fun i -> Char.chr (i * 7 land 0xff)))

  let show = function
    | R.Pending -> "pending"
    | Complete b when Cstruct.length b < 30 -> Cstruct.to_string b
    | Complete _ -> "complete"
    | Dropped `Overlap -> "overlap"
    | Dropped `Inconsistent -> "inconsistent"
    | Dropped `Limit -> "limit"

  (* (offset, length, more) and what is to come of it. *)
  let script ?(config = R.default) steps =
    let t = R.create config in
    List.iter
      (fun (offset, length, more, expected) ->
        Alcotest.(check string)
          (Printf.sprintf "%d+%d" offset length)
          expected
          (show (R.add t ~now:0 () ~offset ~more (Cstruct.sub data offset length))))
      steps;
    check_bool "bounded" true (R.memory t <= config.memory)

  let orders () =
    script
      [
        (0, 8, true, "pending");
        (8, 8, true, "pending");
        (16, 5, false, Cstruct.to_string (Cstruct.sub data 0 21));
      ];
    script
      [
        (16, 5, false, "pending");
        (8, 8, true, "pending");
        (0, 8, true, Cstruct.to_string (Cstruct.sub data 0 21));
      ];
    script
      [
        (8, 8, true, "pending");
        (16, 5, false, "pending");
        (0, 8, true, Cstruct.to_string (Cstruct.sub data 0 21));
      ];
    script
      [
        (0, 8, true, "pending");
        (16, 5, false, "pending");
        (8, 8, true, Cstruct.to_string (Cstruct.sub data 0 21));
      ]

  let random_orders () =
    let rng = Random.State.make [| 4 |] in
    for _ = 1 to 500 do
      let t = R.create R.default in
      let total = 1 + Random.State.int rng 3999 in
      let rec cut off =
        if off >= total then []
        else
          let len = min (total - off) (8 * (1 + Random.State.int rng 60)) in
          (off, len) :: cut (off + len)
      in
      let pieces = cut 0 in
      let pieces =
        List.concat_map (fun p -> if Random.State.int rng 4 = 0 then [ p; p ] else [ p ]) pieces
      in
      let shuffled =
        List.map snd (List.sort compare (List.map (fun p -> (Random.State.bits rng, p)) pieces))
      in
      let complete = ref 0 in
      List.iter
        (fun (offset, len) ->
          match
            R.add t ~now:0 () ~offset ~more:(offset + len < total) (Cstruct.sub data offset len)
          with
          | Complete b ->
              incr complete;
              check_bool "content" true (Cstruct.equal b (Cstruct.sub data 0 total))
          | Pending -> ()
          | Dropped _ -> Alcotest.fail "dropped")
        shuffled;
      (* Repetitions after the end begin another packet, which may even become complete. *)
      check_bool "complete" true (!complete >= 1)
    done

  let overlaps () =
    script [ (0, 16, true, "pending"); (8, 16, true, "overlap") ];
    script [ (8, 16, true, "pending"); (0, 16, true, "overlap") ];
    script [ (8, 8, true, "pending"); (0, 24, true, "overlap") ];
    script [ (0, 8, true, "pending"); (16, 8, true, "pending"); (8, 16, true, "overlap") ];
    script [ (0, 16, true, "pending"); (0, 16, true, "pending"); (0, 8, true, "pending") ];
    let t = R.create R.default in
    ignore (R.add t ~now:0 () ~offset:0 ~more:true (Cstruct.of_string "aaaaaaaa"));
    check_bool "another content" true
      (R.add t ~now:0 () ~offset:0 ~more:true (Cstruct.of_string "aaaaaaab") = Dropped `Overlap);
    check_int "forgotten" 0 (R.memory t)

  let contradictions () =
    script [ (16, 8, false, "pending"); (24, 8, true, "inconsistent") ];
    script [ (16, 8, false, "pending"); (16, 16, false, "inconsistent") ];
    script [ (16, 8, true, "pending"); (8, 8, false, "inconsistent") ];
    script [ (0, 7, true, "inconsistent") ];
    script [ (0, 0, true, "inconsistent") ]

  let bounds () =
    let config = { R.memory = 20_000; packets = 8; fragments = 16; timeout = 30 * second } in
    let t = R.create config in
    for key = 1 to 1000 do
      ignore (R.add t ~now:key key ~offset:(8 * (key mod 100)) ~more:true (Cstruct.sub data 0 1000));
      check_bool "memory" true (R.memory t <= config.memory)
    done;
    let small = List.init 17 (fun i -> (16 * i, 8, true, if i < 16 then "pending" else "limit")) in
    script ~config small;
    (* One packet larger than the bound. *)
    check_bool "too large" true
      (R.add t ~now:0 0 ~offset:40_000 ~more:true (Cstruct.sub data 0 8) = Dropped `Limit)

  (* What is dropped leaves no more than its place behind, while an older packet waits. *)
  let dropped_packets_are_let_go_of () =
    let t = R.create R.default in
    ignore (R.add t ~now:0 0 ~offset:0 ~more:true (Cstruct.sub data 0 8));
    let before = Obj.reachable_words (Obj.repr t) in
    for key = 1 to 100 do
      for fragment = 0 to R.default.fragments do
        ignore (R.add t ~now:0 key ~offset:(16 * fragment) ~more:true (Cstruct.sub data 0 8))
      done
    done;
    check_bool "words" true (Obj.reachable_words (Obj.repr t) - before < 100 * 64)

  (* Also while an older packet waits for the rest of it. *)
  let complete_packets_are_let_go_of () =
    let t = R.create R.default and packets = 100 in
    let kept = Weak.create packets in
    ignore (R.add t ~now:0 (-1) ~offset:0 ~more:true (Cstruct.sub data 0 8));
    for key = 0 to packets - 1 do
      ignore (R.add t ~now:0 key ~offset:0 ~more:true (Cstruct.sub data 0 8));
      match R.add t ~now:0 key ~offset:8 ~more:false (Cstruct.sub data 8 8) with
      | Complete b -> Weak.set kept key (Some b.buffer)
      | Pending | Dropped _ -> Alcotest.fail "incomplete"
    done;
    Gc.full_major ();
    let is_kept key = Weak.check kept key in
    check_int "kept" 0 (List.length (List.filter is_kept (List.init packets Fun.id)));
    check_bool "the older one" true (R.next t <> None)

  let timeouts () =
    let t = R.create R.default in
    ignore (R.add t ~now:0 1 ~offset:0 ~more:true (Cstruct.sub data 0 8));
    ignore (R.add t ~now:second 2 ~offset:8 ~more:true (Cstruct.sub data 0 8));
    check_bool "next" true (R.next t = Some (30 * second));
    R.tick t ~now:(30 * second);
    check_bool "the other" true (R.next t = Some (31 * second));
    R.tick t ~now:(31 * second);
    check_int "empty" 0 (R.memory t);
    check_bool "no timer" true (R.next t = None)

  let fuzz () =
    let rng = Random.State.make [| 9 |] in
    let int n = Random.State.int rng n in
    let t = R.create { R.memory = 30_000; packets = 4; fragments = 20; timeout = 1000 } in
    for now = 1 to 50_000 do
      let len = if int 2 = 0 then 8 * int 20 else int 200 in
      ignore
        (R.add t ~now (int 6) ~offset:(8 * int 8192) ~more:(int 3 > 0) (Cstruct.sub data 0 len));
      if int 10 = 0 then R.tick t ~now;
      check_bool "memory" true (R.memory t <= 30_000 && R.memory t >= 0)
    done

  let tests =
    [
      case "orders" orders;
      case "random_orders" random_orders;
      case "overlaps" overlaps;
      case "contradictions" contradictions;
      case "bounds" bounds;
      case "dropped_packets_are_let_go_of" dropped_packets_are_let_go_of;
      case "complete_packets_are_let_go_of" complete_packets_are_let_go_of;
      case "timeouts" timeouts;
      case "fuzz" fuzz;
    ]
end

let () =
  Alcotest.run "engines"
    [
      ("neighbour", Neighbour_tests.tests);
      ("arp", Arp_tests.tests);
      ("routes", Route_tests.tests);
      ("reassembly", Reassembly_tests.tests);
    ]
