(* The pure parts of the network examples, against what clients really send and what nobody should. *)

let case name f = Alcotest.test_case name `Quick f
let check = Alcotest.(check string)
let check_bool = Alcotest.(check bool)

(* {1 JSON} *)

let round_trip text () =
  check text text (Result.fold ~ok:Json.to_string ~error:Fun.id (Json.parse text))

let values () =
  List.iter
    (fun (text, expected) ->
      check text expected (Result.fold ~ok:Json.to_string ~error:Fun.id (Json.parse text)))
    [
      (" { \"a\" : [ 1 , -2.5e0 ] }\n", {|{"a":[1,-2.5]}|});
      ({|"\u0041\/\t"|}, {|"A/\u0009"|});
      ("[]", "[]");
      ("{}", "{}");
    ]

let malformed () =
  let deep = String.make 100_000 '[' in
  List.iter
    (fun text -> check_bool text true (Result.is_error (Json.parse text)))
    [
      "";
      " ";
      "{";
      "[1";
      "[1,]";
      "{\"a\"}";
      "{\"a\":}";
      "\"";
      "\"\\";
      "\"\\u12";
      "\"\\u_1_1\"";
      "\"\\u1234\"";
      "tru";
      "1 2";
      "-";
      "1e999";
      "nan";
      deep;
    ]

(* Every prefix, and every change of one byte, gives a result. *)
let damaged () =
  let text = {|{"tcp":true,"x":[1,2.5,{"y":"\u0041\n"}],"z":null}|} in
  String.iteri
    (fun i _ ->
      ignore (Json.parse (String.sub text 0 i) : (Json.t, string) result);
      for c = 0 to 255 do
        let b = Bytes.of_string text in
        Bytes.set b i (Char.chr c);
        ignore (Json.parse (Bytes.to_string b) : (Json.t, string) result)
      done)
    text

(* {1 iperf3} *)

let parameters text = Result.bind (Json.parse text) Protocol.parameters

(* As iperf3 3.18 sends them for -R -P 2 -l 8K. *)
let from_the_client () =
  match
    parameters
      {|{"tcp":true,"omit":0,"time":10,"num":0,"blockcount":0,"parallel":2,"reverse":true,"len":8192,"pacing_timer":1000,"client_version":"3.18"}|}
  with
  | Error e -> Alcotest.fail e
  | Ok p ->
      Alcotest.(check int) "streams" 2 p.streams;
      Alcotest.(check int) "block" 8192 p.block;
      Alcotest.(check (float 0.)) "time" 10. p.seconds;
      check_bool "directions" true (p.sends && not p.receives)

let refused () =
  List.iter
    (fun text -> check_bool text true (Result.is_error (parameters text)))
    [
      {|{"udp":true}|};
      {|{"tcp":true,"parallel":0}|};
      {|{"tcp":true,"parallel":1000}|};
      {|{"tcp":true,"len":"8K"}|};
      {|{"tcp":true,"len":1e12}|};
      {|{"tcp":true,"time":1e9}|};
      {|{"tcp":true,"reverse":"yes"}|};
      {|{"tcp":[]}|};
      "[]";
      "7";
    ]

let states () =
  for i = 0 to 255 do
    let byte = Char.chr i in
    Option.iter
      (fun state -> Alcotest.(check char) "there and back" byte (Protocol.byte_of_state state))
      (Protocol.state_of_byte byte)
  done

let stream_ids () =
  Alcotest.(check (list int)) "ids" [ 1; 3; 4; 5 ] (List.init 4 Protocol.stream_id)

(* {1 HTTP} *)

let outcome text =
  match Http.parse text with
  | `More -> "more"
  | `Bad -> "bad"
  | `Request ({ meth; target; keep_alive }, length) ->
      Printf.sprintf "%s %s %b %d" meth target keep_alive length

let requests () =
  List.iter
    (fun (text, expected) -> check text expected (outcome text))
    [
      ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / true 27");
      ("GET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\nGET", "GET /a false 51");
      ("HEAD / HTTP/1.0\r\n\r\n", "HEAD / false 19");
      ("GET / HTTP/1.1\r\n", "more");
      ("", "more");
      ("GET / HTTP/2\r\n\r\n", "bad");
      ("GET /\r\n\r\n", "bad");
      ( "GET / HTTP/1.1\r\nHost: x\r\nconnection:\tKEEP-alive \r\nConnection: close\r\n\r\n",
        "GET / false 71" );
      ("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n", "GET / false 58");
      ("GET / HTTP/1.0\r\nConnection: x, , Keep-Alive,\r\n\r\n", "GET / true 48");
      ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", "GET / true 61");
      (" GET ?q HTTP/1.1 \r\nHost: x\r\n\r\n", "GET  true 30");
      ("GET / HTTP/1.1 \r\nHost: x\r\nConnections: close\r\nX: \r\n\r\n", "GET / true 53");
      ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: x\r\n: no name\r\n\r\n", "bad");
      ("GET / HTTP/1.1\n\r\n\r\n", "bad");
      ("GET / x HTTP/1.1\r\nHost: x\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\ncontent-length: 7\r\n\r\n", "bad");
      ("\r\n\r\n", "bad");
      (" \r\n\r\n", "bad");
      ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", "bad");
      ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "bad");
      (String.make 9000 'x', "bad");
      (* One host, and no more. *)
      ("GET / HTTP/1.1\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: a\r\n\r\n", "bad");
      ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHosts: x\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHOST:\r\n\r\n", "GET / true 25");
      ("GET / HTTP/1.1\r\nHost: [fd00::2]:80 \r\n\r\n", "GET / true 39");
      (* What another program on the way may read otherwise. *)
      ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello", "bad");
      ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n", "bad");
      ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length\x0b: 5\r\n\r\nhello", "bad");
      ("GET / HTTP/1.1\r\nHost: x\r\n X: y\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n z: folded\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: x\r\nX: y\rContent-Length: 5\r\n\r\nhello", "bad");
      ("GET / HTTP/1.1\r\nHost: x\r\nX: y\x00z\r\n\r\n", "bad");
      ("GET / HTTP/1.1\r\nHost: x\r\nX-1.~: caf\xe9 \t\"(y)\"\r\n\r\n", "GET / true 47");
    ]

let answers () =
  let pages = Http.pages [ ("/", ("text/plain", "hello")) ] in
  let respond meth target =
    Cstruct.to_string (Http.respond pages { meth; target; keep_alive = true })
  in
  let status meth target = String.sub (respond meth target) 9 3 in
  check "page" "200" (status "GET" "/");
  check "no page" "404" (status "GET" "/x");
  check "method" "405" (status "PUT" "/");
  check_bool "the page" true (String.ends_with ~suffix:"\r\n\r\nhello" (respond "GET" "/"));
  let head = respond "HEAD" "/" in
  check_bool "no body" true (String.ends_with ~suffix:"\r\n\r\n" head)

let () =
  Alcotest.run "examples"
    [
      ( "json",
        [
          case "round_trip" (round_trip {|{"a":[1,2.5,"x\"y\\"],"b":{"c":null,"d":true}}|});
          case "values" values;
          case "malformed" malformed;
          case "damaged" damaged;
        ] );
      ( "iperf",
        [
          case "from_the_client" from_the_client;
          case "refused" refused;
          case "states" states;
          case "stream_ids" stream_ids;
        ] );
      ("http", [ case "requests" requests; case "answers" answers ]);
    ]
