(* The protocol of examples/kv. *)

let case name f = Alcotest.test_case name `Quick f

let pp_result ppf = function
  | `Request words -> Fmt.pf ppf "request %a" Fmt.(Dump.list Dump.string) words
  | `More -> Fmt.string ppf "more"
  | `Malformed m -> Fmt.pf ppf "malformed: %s" m

let check = Alcotest.(check (testable pp_result ( = )))

(* What a parser fed with these pieces says last. *)
let after pieces =
  let t = Resp.create () in
  List.fold_left
    (fun _ piece ->
      Resp.feed t (Cstruct.of_string piece);
      Resp.next t)
    `More pieces

let set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\n\r\n"

let whole () =
  check "binary strings" (`Request [ "SET"; "k"; "a\r\nb\n" ]) (after [ set ]);
  check "no words" (`Request []) (after [ "*0\r\n" ]);
  check "an empty string" (`Request [ "" ]) (after [ "*1\r\n$0\r\n\r\n" ]);
  check "inline" (`Request [ "GET"; "k" ]) (after [ "GET  k\r\n" ]);
  check "an empty line" (`Request []) (after [ "\r\n" ])

let pieces () =
  let bytes = List.init (String.length set) (fun i -> String.sub set i 1) in
  check "byte by byte" (after [ set ]) (after bytes);
  for i = 0 to String.length set - 1 do
    check "a beginning" `More (after [ String.sub set 0 i ])
  done

let pipeline () =
  let t = Resp.create () in
  for _ = 1 to 1000 do
    Resp.feed t (Cstruct.of_string set)
  done;
  for _ = 1 to 1000 do
    check "each" (`Request [ "SET"; "k"; "a\r\nb\n" ]) (Resp.next t)
  done;
  check "no more" `More (Resp.next t)

let too_large () =
  let key = String.make Resp.max_string 'k' in
  let bulk = Printf.sprintf "$%d\r\n%s\r\n" Resp.max_string key in
  let request n = Printf.sprintf "*%d\r\n" (n + 1) :: List.init n (fun _ -> bulk) in
  check "within the bound" `More (after (request 3));
  check "above it" (`Malformed "too large a request") (after (request 5))

let malformed () =
  let refused s =
    match after [ s ] with `Malformed _ -> () | r -> Alcotest.failf "%S: %a" s pp_result r
  in
  List.iter refused
    [
      "*-1\r\n";
      "*x\r\n";
      "*1025\r\n";
      "*1\r\nx\r\n";
      "*1\r\n$-1\r\n";
      "*1\r\n$\r\n";
      "*1\r\n$1048577\r\n";
      "*99999999999999999999\r\n";
      String.make 70000 'x';
    ]

(* In pieces of an octet a megabyte takes as long as its octets, not as their square. *)
let small_pieces () =
  let feed_all text =
    let t = Resp.create () in
    let start = Sys.time () in
    String.iter
      (fun c ->
        Resp.feed t (Cstruct.of_string (String.make 1 c));
        ignore (Resp.next t))
      text;
    Sys.time () -. start
  in
  let value =
    Printf.sprintf "*1\r\n$%d\r\n%s\r\n" Resp.max_string (String.make Resp.max_string 'x')
  in
  let many = "*1000\r\n" ^ String.concat "" (List.init 1000 (fun _ -> "$10\r\n0123456789\r\n")) in
  let line = String.make 65000 'x' in
  List.iter
    (fun (name, text) -> Alcotest.(check bool) name true (feed_all text < 3.))
    [ ("a string", value); ("many strings", many); ("a line", line) ]

let nothing_is_held_between_requests () =
  let t = Resp.create () in
  Resp.feed t (Cstruct.of_string set);
  ignore (Resp.next t);
  Alcotest.(check int) "held" 0 (Resp.held t);
  Resp.feed t (Cstruct.of_string (String.sub set 0 20));
  ignore (Resp.next t);
  Alcotest.(check bool) "what came" true (Resp.held t > 0 && Resp.held t <= 20)

let () =
  Alcotest.run "kv"
    [
      ( "resp",
        [
          case "whole_requests" whole;
          case "requests_in_pieces" pieces;
          case "requests_in_one_piece" pipeline;
          case "a_request_has_a_bound" too_large;
          case "nonsense_is_refused" malformed;
          case "small_pieces" small_pieces;
          case "nothing_is_held_between_requests" nothing_is_held_between_requests;
        ] );
    ]
