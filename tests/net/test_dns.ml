(* The DNS client: messages, its engine against scripts, and two stacks. *)

open Mirust_net_engine
open Mirust_net_env
open Mirust_net_mock
open Lwt.Infix
module W = Mirust_wire
module D = W.Dns
module E = Dns_engine

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let name = Domain_name.of_string_exn
let host s = Domain_name.host_exn (name s)
let ip = Ipaddr.of_string_exn
let v4 = Ipaddr.V4.of_string_exn
let second = 1_000_000_000
let a ?(ttl = 300) n address = { D.name = name n; ttl; data = Address (v4 address) }
let alias ?(ttl = 300) n target = { D.name = name n; ttl; data = Alias (name target) }
let soa minimum = { D.name = name "net"; ttl = 3600; data = Authority { minimum } }

(* {1 Messages} *)

(* The question and answer for example.net, with the compression that every server uses. *)
let compressed =
  "1234 8180 0001 0002 0000 0000 03777777 076578616d706c65 036e6574 00 0001 0001 c00c 0005 0001 \
   0000012c 0002 c010 c010 0001 0001 0000003c 0004 c0000201"

let golden () =
  (match D.parse (Cstruct.of_hex compressed) with
  | Ok m ->
      check_bool "message" true
        ({ m with id = 0 }
        = {
            (D.query ~id:0 (name "www.example.net") A) with
            response = true;
            answers = [ alias "www.example.net" "example.net"; a ~ttl:60 "example.net" "192.0.2.1" ];
          })
  | Error e -> Alcotest.failf "%a" D.pp_error e);
  Alcotest.(check string)
    "query" "123401000001000000000001076578616d706c65036e657400001c000100002904d0000000000000"
    (Cstruct.to_hex_string
       (D.emit ~payload_size:1232 (D.query ~id:0x1234 (name "example.net") Aaaa)))

let both_ways () =
  let m =
    {
      (D.query ~id:9 (name "a.b.c") A) with
      response = true;
      rcode = 3;
      answers = [ alias "a.b.c" "d.e" ];
      authority = [ soa 60 ];
    }
  in
  check_bool "same" true (D.parse (D.emit m) = Ok m)

let damaged () =
  let good = Cstruct.of_hex compressed in
  for n = 0 to Cstruct.length good - 1 do
    check_bool "short" true (D.parse (Cstruct.sub good 0 n) = Error Truncated)
  done;
  let header = "1234 8180 0001 0000 0000 0000 " in
  let is e s = check_bool "error" true (D.parse (Cstruct.of_hex (header ^ s)) = Error e) in
  is D.Bad_name "c00c 0001 0001";
  is D.Bad_name "c0ff 0001 0001";
  is D.Bad_name "80 0001 0001";
  is D.Bad_name "01 61 c00c 0001 0001";
  is D.Truncated "3f 61";
  is D.Unsupported "00 0002 0001";
  is D.Unsupported "00 0001 0003";
  let long = String.concat "" (List.init 5 (fun _ -> "3e" ^ String.make 124 '6')) in
  is D.Bad_name (long ^ "00 0001 0001");
  check_bool "two questions" true
    (D.parse (Cstruct.of_hex "1234 8180 0002 0000 0000 0000 00 0001 0001 00 0001 0001")
    = Error Unsupported);
  check_bool "address of three bytes" true
    (D.parse
       (Cstruct.of_hex
          "1234 8180 0001 0001 0000 0000 00 0001 0001 00 0001 0001 00000000 0003 010203")
    = Error Bad_record)

(* One that is damaged does not keep others from being read, as long as it can be told where it ends. *)
let damaged_records () =
  let good = "c00c 0001 0001 0000003c 0004 c0000201" in
  let answers records ~authority =
    let message =
      Printf.sprintf "1234 8180 0001 %04x %04x 0000 01 61 00 0001 0001" (List.length records)
        (List.length authority)
    in
    match D.parse (Cstruct.of_hex (String.concat "" ((message :: records) @ authority))) with
    | Ok m ->
        check_bool "damaged" (List.length records > 1) m.damaged;
        List.filter (fun (r : D.record) -> r.data = Address (v4 "192.0.2.1")) m.answers
    | Error e -> Alcotest.failf "%a" D.pp_error e
  in
  let check what ?(authority = []) records =
    check_int what 1 (List.length (answers records ~authority))
  in
  check "a short address" [ "c00c 0001 0001 0000003c 0003 010203"; good ];
  check "an address of nothing" [ good; "c00c 0001 0001 0000003c 0000" ];
  check "a long one" [ "c00c 001c 0001 0000003c 0011 0102030405060708090a0b0c0d0e0f1011"; good ];
  check "an alias that points ahead" [ "c00c 0005 0001 0000003c 0002 c0ff"; good ];
  check "an alias with something behind" [ "c00c 0005 0001 0000003c 0003 c00c 00"; good ];
  check "an authority" [ good ] ~authority:[ "c00c 0006 0001 0000003c 0004 c00cc00c" ];
  check "an authority without an end" [ good ] ~authority:[ "c00c 0006 0001 0000003c 00ff c00c" ]

(* 64 KiB of records of sixteen bytes, each of which names 127 labels by a pointer. *)
let more_records_than_anybody_needs () =
  let labels = String.concat "" (List.init 126 (fun _ -> "0161")) ^ "00" in
  let record = "c00c 0001 0001 0000003c 0004 c0000201" in
  let message ~answers ~authority =
    Printf.sprintf "1234 8180 0001 %04x %04x 0000 %s 0001 0001" answers authority labels
    ^ String.concat "" (List.init (answers + authority) (fun _ -> record))
  in
  (match D.parse (Cstruct.of_hex (message ~answers:4000 ~authority:1)) with
  | Ok m ->
      check_bool "some answers" true (m.answers <> [] && List.length m.answers <= 256);
      check_int "authority" 0 (List.length m.authority)
  | Error e -> Alcotest.failf "%a" D.pp_error e);
  (match D.parse (Cstruct.of_hex (message ~answers:0 ~authority:4000)) with
  | Ok m -> check_bool "authority" true (List.length m.authority <= 256)
  | Error e -> Alcotest.failf "%a" D.pp_error e);
  let takes ~answers ~authority =
    match D.parse (Cstruct.of_hex (message ~answers ~authority)) with
    | Ok m -> 8 * Obj.reachable_words (Obj.repr m)
    | Error e -> Alcotest.failf "%a" D.pp_error e
  in
  let within what n = check_bool (Printf.sprintf "%s: %d bytes" what n) true (n <= 150_000) in
  within "answers" (takes ~answers:4000 ~authority:0);
  within "authority" (takes ~answers:0 ~authority:4000);
  within "both" (takes ~answers:200 ~authority:200)

(* As many addresses as one name has ever had. *)
let as_many_records_as_are_read () =
  let record = "c00c 0001 0001 0000003c 0004 c0000201" in
  let message =
    "1234 8180 0001 0100 0000 0000 03777777076578616d706c6503636f6d00 0001 0001"
    ^ String.concat "" (List.init 256 (fun _ -> record))
  in
  match D.parse (Cstruct.of_hex message) with
  | Ok m -> check_int "answers" 256 (List.length m.answers)
  | Error e -> Alcotest.failf "%a" D.pp_error e

let fuzz () =
  let rng = Random.State.make [| 5 |] in
  let int n = Random.State.int rng n in
  let good = Cstruct.to_string (Cstruct.of_hex compressed) in
  for _ = 1 to 50_000 do
    let b = Cstruct.of_string good in
    for _ = 0 to int 6 do
      let v = match int 3 with 0 -> 0xc0 | 1 -> int 64 | _ -> int 256 in
      Cstruct.set_uint8 b (int (Cstruct.length b)) v
    done;
    let b = Cstruct.sub b 0 (Cstruct.length b - if int 3 = 0 then int 20 else 0) in
    match D.parse b with Ok m -> ignore (D.emit m) | Error _ -> ()
  done

(* {1 The engine} *)

let servers = [ ip "10.0.0.53"; ip "10.0.0.54" ]

let engine ?config () =
  let rng = Random.State.make [| 1 |] in
  E.create ?config ~random:(fun n -> Random.State.int rng n) ()

type asked = { server : Ipaddr.t; port : int; q : D.t }

let asked actions =
  match
    List.filter_map
      (function
        | E.Ask { server; port; message } ->
            Some { server; port; q = Result.get_ok (D.parse message) }
        | Ask_tcp _ | Release _ | Answer _ -> None)
      actions
  with
  | [ a ] -> a
  | l -> Alcotest.failf "%d questions" (List.length l)

let answered actions =
  match
    List.filter_map
      (function
        | E.Answer { result; waiters } -> Some (waiters, result)
        | Ask _ | Ask_tcp _ | Release _ -> None)
      actions
  with
  | [ r ] -> r
  | l -> Alcotest.failf "%d answers" (List.length l)

let reply t ?(now = 0) ?(rcode = 0) ?(authority = []) ?server (k : asked) answers =
  let m = { k.q with response = true; answers; authority; rcode } in
  E.input t ~now ~server:(Option.value server ~default:k.server) ~port:k.port (D.emit m)

let resolve ?(now = 0) ?(n = "www.example.net") t = E.resolve t ~now ~servers (host n) A ()
let result = Alcotest.testable (fun ppf _ -> Fmt.string ppf "result") ( = )
let check_result n expected actions = Alcotest.check result n expected (snd (answered actions))
let good = Ok [ ip "192.0.2.1" ]

let answer_and_cache () =
  let t = engine () in
  let k = asked (resolve t) in
  check_result "answer" good (reply t k [ a ~ttl:10 "WWW.example.NET" "192.0.2.1" ]);
  check_int "nothing pending" 0 (E.pending t);
  check_result "from the cache" good (resolve ~now:(9 * second) ~n:"www.EXAMPLE.net" t);
  ignore (asked (resolve ~now:(10 * second) t))

let lifetimes_are_bounded () =
  let t = engine () in
  let k = asked (resolve t) in
  ignore (reply t k [ a ~ttl:0x7fffffff "www.example.net" "192.0.2.1" ]);
  check_result "an hour" good (resolve ~now:(3599 * second) t);
  let k = asked (resolve ~now:(3600 * second) t) in
  ignore (reply t ~now:0 k [ a ~ttl:0 "www.example.net" "192.0.2.1" ]);
  ignore (asked (resolve ~now:0 t))

let waiters_share_a_question () =
  let t = engine () in
  let k = asked (E.resolve t ~now:0 ~servers (host "x.net") A 1) in
  check_bool "no second question" true (E.resolve t ~now:0 ~servers (host "X.net") A 2 = []);
  ignore (asked (E.resolve t ~now:0 ~servers (host "x.net") Aaaa 3));
  let m = { k.q with response = true; answers = [ a "x.net" "192.0.2.1" ] } in
  let waiters, _ = answered (E.input t ~now:0 ~server:k.server ~port:k.port (D.emit m)) in
  Alcotest.(check (list int)) "both" [ 1; 2 ] waiters

let aliases () =
  let t = engine () in
  let k = asked (resolve t) in
  let chain =
    [ alias ~ttl:5 "b.net" "c.net"; alias "www.example.net" "b.net"; a "c.net" "192.0.2.1" ]
  in
  check_result "in one message" good (reply t k chain);
  check_result "cached" good (resolve ~now:(4 * second) t);
  ignore (asked (resolve ~now:(5 * second) t));
  let t = engine () in
  let k = asked (resolve t) in
  let next = asked (reply t k [ alias "www.example.net" "b.net" ]) in
  check_bool "asks for the target" true (Domain_name.equal (fst next.q.question) (name "b.net"));
  check_bool "another port" true (next.port <> k.port);
  check_result "then" good (reply t next [ a "b.net" "192.0.2.1" ])

let alias_loop () =
  let t = engine () in
  let k = asked (resolve t) in
  check_result "loop" (Error `Too_many_aliases)
    (reply t k [ alias "www.example.net" "b.net"; alias "b.net" "www.example.net" ]);
  let t = engine () in
  let rec go k n =
    let actions =
      reply t k
        [ { D.name = fst k.q.question; ttl = 1; data = Alias (name (Printf.sprintf "n%d.net" n)) } ]
    in
    if n < 8 then go (asked actions) (n + 1)
    else check_result "chain" (Error `Too_many_aliases) actions
  in
  go (asked (resolve t)) 0

let missing () =
  let t = engine () in
  let k = asked (resolve t) in
  check_result "name" (Error `No_such_name) (reply t ~rcode:3 ~authority:[ soa 60 ] k []);
  check_result "cached" (Error `No_such_name) (resolve ~now:(59 * second) t);
  let k = asked (resolve ~now:(60 * second) t) in
  check_result "address" (Error `No_address) (reply t k []);
  ignore (asked (resolve t))

let forgeries () =
  let t = engine () in
  let k = asked (resolve t) in
  let ignored n actions = check_int n 0 (List.length actions) in
  let bad = [ a "www.example.net" "6.6.6.6" ] in
  ignored "server" (reply t k ~server:(ip "10.0.0.66") bad);
  ignored "other server of ours" (reply t k ~server:(ip "10.0.0.54") bad);
  ignored "id" (reply t { k with q = { k.q with id = k.q.id lxor 1 } } bad);
  ignored "port" (reply t { k with port = k.port lxor 1 } bad);
  ignored "question" (reply t { k with q = { k.q with question = (name "x.net", A) } } bad);
  ignored "kind" (reply t { k with q = { k.q with question = (name "www.example.net", Aaaa) } } bad);
  ignored "a query" (E.input t ~now:0 ~server:k.server ~port:k.port (D.emit k.q));
  ignored "garbage" (E.input t ~now:0 ~server:k.server ~port:k.port (Cstruct.of_string "garbage"));
  check_result "records of other names do not count" good
    (reply t k [ a "bank.net" "6.6.6.6"; a "www.example.net" "192.0.2.1" ]);
  ignore (asked (E.resolve t ~now:0 ~servers (host "bank.net") A ()))

let retries_go_round_the_servers () =
  let t = engine () in
  let rec go n (k : asked) ports =
    check_bool "server" true (k.server = List.nth servers (n land 1));
    check_bool "fresh port" false (List.mem k.port ports);
    check_bool "due" true (E.next t = Some ((n + 1) * 2 * second));
    let actions = E.tick t ~now:((n + 1) * 2 * second) in
    if n < 4 then go (n + 1) (asked actions) (k.port :: ports)
    else check_result "gave up" (Error `Timeout) actions
  in
  go 0 (asked (resolve t)) [];
  check_bool "no timer" true (E.next t = None)

let failing_servers () =
  let t = engine () in
  let k = asked (resolve t) in
  let k = asked (reply t ~rcode:2 k []) in
  check_bool "the next" true (k.server = ip "10.0.0.54");
  check_result "good" good (reply t k [ a "www.example.net" "192.0.2.1" ]);
  let t = engine () in
  let rec go n k =
    let actions = reply t ~rcode:5 k [] in
    if n < 4 then go (n + 1) (asked actions) else check_result "all" (Error `Server_failure) actions
  in
  go 0 (asked (resolve t))

(* It may have been the answer, if the others are none. *)
let a_damaged_answer_is_no_denial () =
  let damaged_alias = { D.name = name "www.example.net"; ttl = 300; data = Other 5 } in
  let reply t k = reply t k ~authority:[ soa 60 ] in
  let t = engine () in
  let k = asked (reply t (asked (resolve t)) [ damaged_alias; a "example.net" "192.0.2.1" ]) in
  check_bool "the next" true (k.server = ip "10.0.0.54");
  check_result "good" good (reply t k [ damaged_alias; a "www.example.net" "192.0.2.1" ]);
  let t = engine () in
  let k = asked (reply t (asked (resolve t)) [ damaged_alias; alias "www.example.net" "b.net" ]) in
  check_bool "the next for the alias" true (k.server = ip "10.0.0.54");
  check_result "good" good (reply t k [ a "b.net" "192.0.2.1" ])

let too_long_goes_to_tcp () =
  let t = engine () in
  let k = asked (resolve t) in
  let truncated = D.emit { k.q with response = true; truncated = true } in
  (match E.input t ~now:0 ~server:k.server ~port:k.port truncated with
  | [ Ask_tcp { port; server; _ } ] -> check_bool "same" true (port = k.port && server = k.server)
  | _ -> Alcotest.fail "tcp");
  check_result "answer" good (reply t k [ a "www.example.net" "192.0.2.1" ]);
  let k = asked (resolve ~now:(400 * second) t) in
  ignore (E.input t ~now:0 ~server:k.server ~port:k.port truncated);
  let truncated = D.emit { k.q with response = true; truncated = true } in
  ignore (E.input t ~now:0 ~server:k.server ~port:k.port truncated);
  check_bool "refused" true ((asked (E.failed t ~now:0 ~port:k.port)).server = ip "10.0.0.54")

(* With an OPT record in the question at first. *)
let servers_without_edns () =
  let t = engine () in
  let additional (q : Cstruct.t) = W.Field.u16 q 10 in
  let rec go n actions =
    match List.find_map (function E.Ask { message; _ } -> Some message | _ -> None) actions with
    | Some message ->
        check_int (Printf.sprintf "question %d" n) (if n < 3 then 1 else 0) (additional message);
        go (n + 1) (E.tick t ~now:(Option.get (E.next t)))
    | None -> check_int "questions" 5 n
  in
  go 0 (resolve t)

(* Whose socket is bound there would hear nothing any more. *)
let ports_of_others_are_left_alone () =
  let rng = Random.State.make [| 1 |] in
  let random n = Random.State.int rng n in
  let t = E.create ~is_free:(fun port -> port land 1 = 0) ~random () in
  for i = 1 to 50 do
    let n = Printf.sprintf "n%d.example.net" i in
    let q = asked (E.resolve t ~now:0 ~servers (host n) A i) in
    check_bool "free" true (q.port land 1 = 0)
  done;
  let t = E.create ~is_free:(fun _ -> false) ~random () in
  match E.resolve t ~now:0 ~servers (host "example.net") A 1 with
  | [ E.Answer { waiters = [ 1 ]; result = Error `Busy } ] -> check_int "left" 0 (E.pending t)
  | _ -> Alcotest.fail "asked from somebody else's port"

let bounds () =
  let t = engine ~config:{ E.default with in_flight = 10; cache = 20 } () in
  let ask n = E.resolve t ~now:0 ~servers (host (Printf.sprintf "n%d.net" n)) A () in
  let asked_for = List.init 10 (fun n -> asked (ask n)) in
  check_result "busy" (Error `Busy) (ask 10);
  List.iter
    (fun k ->
      ignore
        (E.input t ~now:0 ~server:k.server ~port:k.port
           (D.emit
              {
                k.q with
                response = true;
                answers =
                  [ { D.name = fst k.q.question; ttl = 100; data = Address (v4 "192.0.2.1") } ];
              })))
    asked_for;
  for n = 10 to 99 do
    let k = asked (ask n) in
    ignore
      (E.input t ~now:0 ~server:k.server ~port:k.port
         (D.emit
            {
              k.q with
              response = true;
              answers =
                [ { D.name = fst k.q.question; ttl = 100; data = Address (v4 "192.0.2.1") } ];
            }))
  done;
  check_bool "cache" true (E.cached t <= 20);
  check_result "no server" (Error `No_server) (E.resolve t ~now:0 ~servers:[] (host "q.net") A ())

(* 256 addresses of IPv6 take 20 KiB, where 512 bytes are meant for an entry. *)
let long_answers_take_more_of_the_cache () =
  let ask t ~addresses n =
    let n = Printf.sprintf "n%d.net" n in
    let k = asked (E.resolve t ~now:0 ~servers (host n) Aaaa ()) in
    let record i =
      let a = Ipaddr.V6.make 0x2001 0xdb8 0 0 0 0 1 i in
      { D.name = name n; ttl = 100; data = Address6 a }
    in
    let _, result = answered (reply t k (List.init addresses record)) in
    check_bool "all of them" true (List.length (Result.get_ok result) = addresses)
  in
  let fill what ~addresses expected =
    let t = engine ~config:{ E.default with cache = 100 } () in
    List.iter (ask t ~addresses) (List.init 200 Fun.id);
    check_int what expected (E.cached t);
    let bytes = 8 * Obj.reachable_words (Obj.repr t) in
    check_bool (Printf.sprintf "%d bytes" bytes) true (bytes <= 100 * 512)
  in
  fill "long ones" ~addresses:256 2;
  fill "short ones" ~addresses:5 100;
  (* What has no room at all drives nothing out. *)
  let t = engine ~config:{ E.default with cache = 20 } () in
  ignore (reply t (asked (resolve t)) [ a "www.example.net" "192.0.2.1" ]);
  let k = asked (resolve ~n:"long.net" t) in
  ignore (reply t k (List.init 200 (fun i -> a "long.net" (Printf.sprintf "192.0.2.%d" i))));
  check_result "still there" good (resolve t);
  ignore (asked (resolve ~n:"long.net" t))

(* {1 Stacks} *)

module Stack = Mirust_stack.Stack

(* Answers that a client has begun to read and not read to their end: after the first piece of each there is a second
   reading. *)
let at_once = ref 0
let most_at_once = ref 0

(* First pieces in memory that a device needs. *)
let held = ref 0

let first = function
  | `Eof -> `Eof
  | `Data b ->
      let b = Cstruct.append b Cstruct.empty in
      incr held;
      Gc.finalise (fun _ -> decr held) b.Cstruct.buffer;
      `Data b

module Watched = struct
  include Stack.V4V6

  module TCP = struct
    include TCP

    let begun = ref []

    let read flow =
      if List.memq flow !begun then (
        incr at_once;
        most_at_once := max !most_at_once !at_once;
        TCP.read flow >|= fun r ->
        decr at_once;
        r)
      else (
        begun := flow :: !begun;
        TCP.read flow >|= Result.map first)
  end
end

module Client = Mirust_tcpip.Dns_client.Make (Watched)

let stack network n =
  let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
  let mac = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n)) in
  Stack.connect
    { Stack.default with ipv4 = `Static { cidr; gateway = None } }
    (Network.attach network mac)

let number n =
  match Domain_name.(to_strings (canonical n)) with
  | [ n; "numbered" ] -> int_of_string_opt n
  | _ -> None

let is_numbered n = number n <> None

(* A name server: [small] fits in a datagram, [big] and those with numbers only over TCP, in two pieces. From 100 on the
   second never comes, and from 200 on neither does. *)
let serve s =
  let answer (q : D.t) ~tcp =
    let n, _ = q.question in
    let is s = Domain_name.equal n (name s) in
    let m = { q with response = true } in
    if is "small.net" then { m with answers = [ a "small.net" "192.0.2.1" ] }
    else if (is "big.net" || is_numbered n) && not tcp then { m with truncated = true }
    else if is "big.net" then
      { m with answers = List.init 200 (fun i -> a "big.net" (Printf.sprintf "192.0.2.%d" i)) }
    else if is_numbered n then
      { m with answers = [ { D.name = n; ttl = 300; data = Address (v4 "192.0.2.2") } ] }
    else { m with rcode = 3 }
  in
  Stack.UDP.listen (Stack.udp s) ~port:53 (fun ~src ~dst:_ ~src_port b ->
      match D.parse b with
      | Error _ -> Lwt.return_unit
      | Ok q ->
          Stack.UDP.write ~src_port:53 ~dst:src ~dst_port:src_port (Stack.udp s)
            (D.emit (answer q ~tcp:false))
          >|= ignore);
  Stack.TCP.listen (Stack.tcp s) ~port:53 (fun flow ->
      let rec read sofar =
        if Cstruct.length sofar > 2 && Cstruct.length sofar >= 2 + W.Field.u16 sofar 0 then
          Lwt.return (Cstruct.shift sofar 2)
        else
          Stack.TCP.read flow >>= function
          | Ok (`Data b) -> read (Cstruct.append sofar b)
          | Ok `Eof | Error _ -> Lwt.return Cstruct.empty
      in
      read Cstruct.empty >>= fun b ->
      (match D.parse b with
      | Error _ -> Lwt.return_unit
      | Ok q ->
          let n = Option.value (number (fst q.question)) ~default:0 in
          let is_silent = n >= 200 and is_late = n >= 100 in
          let m = D.emit (answer q ~tcp:true) in
          let length = Cstruct.create 2 in
          W.Field.set_u16 length 0 (Cstruct.length m);
          Env.sleep (if is_silent then 3600 * second else 0) >>= fun () ->
          Stack.TCP.writev flow [ length ] >>= fun _ ->
          Env.sleep (if is_late then 3600 * second else second / 100) >>= fun () ->
          Stack.TCP.writev flow [ m ] >|= ignore)
      >>= fun () -> Stack.TCP.close flow)

let with_stacks ?conditions ?config f () =
  let mock = Mock.install () in
  let network = Network.create ?conditions () in
  Mock.run mock
    ( stack network 1 >>= fun client ->
      stack network 2 >>= fun server ->
      serve server;
      f (Client.create ?config ~nameservers:(fun () -> [ ip "10.0.0.2" ]) client) )

let names =
  with_stacks (fun t ->
      Client.gethostbyname t (host "small.net") >>= fun r ->
      check_bool "small" true (r = Ok (v4 "192.0.2.1"));
      Client.resolve t (host "big.net") A >>= fun r ->
      check_bool "big" true (match r with Ok l -> List.length l = 200 | Error _ -> false);
      Client.gethostbyname t (host "missing.net") >|= fun r ->
      check_bool "missing" true (Result.is_error r))

let numbered t i = Client.gethostbyname t (host (Printf.sprintf "%d.numbered" i))

let few_answers_over_tcp_at_a_time =
  with_stacks ~config:{ E.default with over_tcp = 2 } (fun t ->
      let all = List.init 16 Fun.id in
      Lwt_list.map_p (numbered t) all >>= fun results ->
      check_bool "each in its turn" true (List.for_all (( = ) (Ok (v4 "192.0.2.2"))) results);
      check_int "at a time" 2 !most_at_once;
      (* Whose time is up gives its place to others. *)
      Lwt_list.map_p (fun i -> numbered t (100 + i)) all >>= fun results ->
      check_bool "too late" true (List.for_all Result.is_error results);
      numbered t 16 >|= fun r -> check_bool "afterwards" true (r = Ok (v4 "192.0.2.2")))

let who_has_not_begun_to_answer_keeps_no_place =
  with_stacks ~config:{ E.default with over_tcp = 1; tries = 1 } (fun t ->
      let silent = List.init 4 (fun i -> numbered t (200 + i)) in
      Env.sleep second >>= fun () ->
      numbered t 17 >>= fun r ->
      check_bool "meanwhile" true (r = Ok (v4 "192.0.2.2"));
      check_bool "still asked" true (List.for_all Lwt.is_sleeping silent);
      Lwt.all silent >|= fun results ->
      check_bool "too late" true (List.for_all Result.is_error results))

let a_slow_answer_keeps_its_place_no_longer_than_it_is_waited_for =
  with_stacks ~config:{ E.default with over_tcp = 1; tries = 1 } (fun t ->
      numbered t 100 >>= fun r ->
      check_bool "too late" true (Result.is_error r);
      numbered t 17 >|= fun r -> check_bool "afterwards" true (r = Ok (v4 "192.0.2.2")))

let who_waits_for_a_place_holds_no_memory_of_the_device =
  with_stacks ~config:{ E.default with over_tcp = 1; tries = 1 } (fun t ->
      let late = List.init 4 (fun i -> numbered t (100 + i)) in
      Env.sleep second >>= fun () ->
      Gc.full_major ();
      Gc.full_major ();
      check_int "held" 0 !held;
      check_bool "still asked" true (List.for_all Lwt.is_sleeping late);
      Lwt.all late >|= fun results ->
      check_bool "too late" true (List.for_all Result.is_error results))

let over_a_bad_link =
  with_stacks ~conditions:{ Network.perfect with drop = 0.2; corrupt = 0.1; duplicate = 0.1 }
    (fun t ->
      Client.gethostbyname t (host "small.net") >|= fun r ->
      check_bool "small" true (r = Ok (v4 "192.0.2.1")))

let () =
  Alcotest.run "dns"
    [
      ( "messages",
        [
          case "golden" golden;
          case "both_ways" both_ways;
          case "damaged" damaged;
          case "damaged_records" damaged_records;
          case "fuzz" fuzz;
          case "more_records_than_anybody_needs" more_records_than_anybody_needs;
          case "as_many_records_as_are_read" as_many_records_as_are_read;
        ] );
      ( "engine",
        [
          case "answer_and_cache" answer_and_cache;
          case "lifetimes_are_bounded" lifetimes_are_bounded;
          case "waiters_share_a_question" waiters_share_a_question;
          case "aliases" aliases;
          case "alias_loop" alias_loop;
          case "missing" missing;
          case "forgeries" forgeries;
          case "retries_go_round_the_servers" retries_go_round_the_servers;
          case "failing_servers" failing_servers;
          case "servers_without_edns" servers_without_edns;
          case "a_damaged_answer_is_no_denial" a_damaged_answer_is_no_denial;
          case "too_long_goes_to_tcp" too_long_goes_to_tcp;
          case "bounds" bounds;
          case "long_answers_take_more_of_the_cache" long_answers_take_more_of_the_cache;
          case "ports_of_others_are_left_alone" ports_of_others_are_left_alone;
        ] );
      ( "stacks",
        [
          case "names" names;
          case "few_answers_over_tcp_at_a_time" few_answers_over_tcp_at_a_time;
          case "who_waits_for_a_place_holds_no_memory_of_the_device"
            who_waits_for_a_place_holds_no_memory_of_the_device;
          case "who_has_not_begun_to_answer_keeps_no_place"
            who_has_not_begun_to_answer_keeps_no_place;
          case "a_slow_answer_keeps_its_place_no_longer_than_it_is_waited_for"
            a_slow_answer_keeps_its_place_no_longer_than_it_is_waited_for;
          case "over_a_bad_link" over_a_bad_link;
        ] );
    ]
