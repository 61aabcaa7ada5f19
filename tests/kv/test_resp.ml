(* The protocol of examples/kv. *)

let case name f = Alcotest.test_case name `Quick f

let pp_result ppf = function
  | `Request words -> Fmt.pf ppf "request %a" Fmt.(Dump.list Dump.string) words
  | `More -> Fmt.string ppf "more"
  | `Malformed m -> Fmt.pf ppf "malformed: %s" m
  | `Too_large -> Fmt.string ppf "too large"

let check = Alcotest.(check (testable pp_result ( = )))

(* The next request, with its words. *)
let next t =
  match Resp.next t with
  | `Request -> `Request (Resp.words t)
  | (`More | `Malformed _ | `Too_large) as other -> other

(* What a parser fed with these pieces says last. *)
let after pieces =
  let t = Resp.create () in
  List.fold_left
    (fun _ piece ->
      Resp.feed t (Cstruct.of_string piece);
      next t)
    `More pieces

let set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\n\r\n"

let whole () =
  check "binary strings" (`Request [ "SET"; "k"; "a\r\nb\n" ]) (after [ set ]);
  check "no words" (`Request []) (after [ "*0\r\n" ]);
  check "no array" (`Request []) (after [ "*-1\r\n" ]);
  check "an empty string" (`Request [ "" ]) (after [ "*1\r\n$0\r\n\r\n" ]);
  check "inline" (`Request [ "GET"; "k" ]) (after [ "GET  k\r\n" ]);
  check "an empty line" (`Request []) (after [ "\r\n" ]);
  check "a command in small letters"
    (`Request [ "SET"; "k"; "get" ])
    (after [ "*3\r\n$3\r\nsEt\r\n$1\r\nk\r\n$3\r\nget\r\n" ]);
  check "and inline" (`Request [ "GET"; "get" ]) (after [ "get get\r\n" ])

let pieces () =
  let bytes = List.init (String.length set) (fun i -> String.sub set i 1) in
  check "byte by byte" (after [ set ]) (after bytes);
  for i = 0 to String.length set - 1 do
    check "a beginning" `More (after [ String.sub set 0 i ])
  done;
  let in_two_pieces request =
    for i = 1 to String.length request - 1 do
      let rest = String.sub request i (String.length request - i) in
      check "in two pieces" (after [ request ]) (after [ String.sub request 0 i; rest ])
    done
  in
  List.iter in_two_pieces
    [ set; "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"; "*2\r\n$4\r\nECHO\r\n$1\r\nk\r\n" ];
  check "no array" (`Request []) (after [ "*"; "-"; "1"; "\r"; "\n" ])

(* Behind a short word there may be nothing but its line's end, and the buffer ends there. *)
let short_words () =
  let command text =
    let t = Resp.create () in
    Resp.feed t (Cstruct.of_string text);
    match Resp.next t with
    | `Request -> Resp.command t
    | `More | `Malformed _ | `Too_large -> Alcotest.failf "%S is no request" text
  in
  List.iter
    (fun text -> Alcotest.(check int) (String.escaped text) 0 (command text))
    [
      "\n";
      "\r\n";
      "a\n";
      "a\r\n";
      "ab\n";
      "ab\r\n";
      "a b\n";
      "abcde\n";
      "*0\r\n";
      "*1\r\n$0\r\n\r\n";
      "*1\r\n$1\r\na\r\n";
      "*1\r\n$2\r\nab\r\n";
    ];
  List.iter
    (fun (name, text) ->
      Alcotest.(check int) (String.escaped text) (Resp.letters name) (command text))
    [
      ("GET", "get\n");
      ("GET", "GeT k\r\n");
      ("GET", "*1\r\n$3\r\nGET\r\n");
      ("PING", "ping\n");
      ("PING", "*1\r\n$4\r\nPing\r\n");
    ]

(* What a parsed request keeps is more than its bytes: a list of words. *)
let costs () =
  let t = Resp.create () in
  Resp.feed t (Cstruct.of_string "*1000\r\n");
  check "nothing yet" `More (next t);
  for _ = 1 to 999 do
    Resp.feed t (Cstruct.of_string "$1\r\nk\r\n")
  done;
  check "not whole" `More (next t);
  Alcotest.(check bool) "words count" true (Resp.held t > 999 * 40);
  Alcotest.(check bool)
    "and go on counting" true
    (Resp.cost (List.init 999 (fun _ -> "k")) > 999 * 40);
  (* As soon as it is known. *)
  let small = Resp.create ~most:100 () in
  Resp.feed small (Cstruct.of_string "*2\r\n$11\r\n");
  check "a bound of its own" `More (next small);
  Resp.feed small (Cstruct.of_string "hello world\r\n$30\r\n");
  check "with what words cost" `Too_large (next small)

let inline_words () =
  let words n = String.concat " " (List.init n (fun _ -> "K")) ^ "\r\n" in
  check "as many as an array may have"
    (`Request (List.init 1024 (fun _ -> "K")))
    (after [ words 1024 ]);
  check "and no more" (`Malformed "too many words") (after [ words 1025 ])

let pipeline () =
  let t = Resp.create () in
  for _ = 1 to 1000 do
    Resp.feed t (Cstruct.of_string set)
  done;
  for _ = 1 to 1000 do
    check "each" (`Request [ "SET"; "k"; "a\r\nb\n" ]) (next t)
  done;
  check "no more" `More (next t)

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
      "*-\r\n";
      "*--1\r\n";
      "*-1x\r\n";
      "*x\r\n";
      "*1025\r\n";
      "*1\r\nx\r\n";
      "*1\r\n$-1\r\n";
      "*1\r\n$\r\n";
      "*\r\n";
      "*1x\r\n";
      "*+1\r\n";
      "*0x1\r\n";
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
        ignore (next t))
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
  ignore (next t);
  check "no more" `More (next t);
  Alcotest.(check int) "held" 0 (Resp.held t);
  Resp.feed t (Cstruct.of_string (String.sub set 0 20));
  ignore (next t);
  Alcotest.(check bool) "what came" true (Resp.held t > 0 && Resp.held t <= 20 + (3 * 48))

(* Behind a large request in a pipeline that never ends, so that there is always a next one's beginning: what the large
   one needed goes with it. *)
let nothing_large_stays () =
  let ping = Cstruct.of_string "1\r\n$4\r\nPING\r\n*" in
  let behind name pieces =
    let t = Resp.create () in
    let rec feed = function
      | [] -> Alcotest.failf "%s: no request" name
      | [ last ] ->
          Resp.feed t (Cstruct.of_string (last ^ "*"));
          next t
      | piece :: rest ->
          Resp.feed t (Cstruct.of_string piece);
          check name `More (next t);
          feed rest
    in
    (match feed pieces with
    | `Request _ -> ()
    | (`More | `Malformed _ | `Too_large) as r -> Alcotest.failf "%s: %a" name pp_result r);
    check name `More (next t);
    (* For as long as the buffer stays, it counts. *)
    let bytes () = Sys.word_size / 8 * Obj.reachable_words (Obj.repr t) in
    Alcotest.(check bool) name true (bytes () <= (2 * Int.max 8192 (Resp.kept t)) + 1024);
    for _ = 1 to 1000 do
      Resp.feed t ping;
      check name (`Request [ "PING" ]) (next t);
      check name `More (next t);
      Alcotest.(check int) name 1 (Resp.held t);
      Alcotest.(check bool) name true (Resp.kept t <= 4096);
      if bytes () > 10240 then Alcotest.failf "%s: %d bytes stay" name (bytes ())
    done
  in
  let bulk = Printf.sprintf "$1000000\r\n%s\r\n" (String.make 1000000 'k') in
  behind "a large request" [ "*3\r\n"; bulk; bulk; bulk ];
  behind "many words" ("*1001\r\n" :: List.init 1001 (fun _ -> "$1\r\nk\r\n"));
  behind "a long line" [ String.make 60000 'x'; "\n" ]

(* In a pipeline of large requests the next one finds the buffer of the last; and if there is no memory for it, it
   goes. *)
let large_ones_in_a_row () =
  let t = Resp.create () in
  let large = Printf.sprintf "*1\r\n$20000\r\n%s\r\n" (String.make 20000 'K') in
  let slice = 2000 and row = String.concat "" (List.init 20 (fun _ -> large)) in
  let buffers = ref [] and found = ref 0 in
  let rec drain () =
    match Resp.next t with
    | `Request ->
        incr found;
        if not (List.memq (Resp.bytes t) !buffers) then buffers := Resp.bytes t :: !buffers;
        drain ()
    | `More -> ()
    | `Malformed m -> Alcotest.fail m
    | `Too_large -> Alcotest.fail "too large"
  in
  for i = 0 to (String.length row / slice) - 1 do
    Resp.feed t (Cstruct.of_string (String.sub row (i * slice) slice));
    drain ()
  done;
  Alcotest.(check int) "all but the last" 19 !found;
  Alcotest.(check bool) "in the same few buffers" true (List.length !buffers <= 3);
  let held = Resp.held t in
  Resp.fit t;
  Alcotest.(check int) "nothing is lost" held (Resp.held t);
  Alcotest.(check int) "and nothing more is kept" held (Resp.kept t);
  Resp.feed t
    (Cstruct.of_string
       (String.sub row (String.length row / slice * slice) (String.length row mod slice)));
  drain ();
  Alcotest.(check int) "the last" 20 !found

(* A buffer is given up while there is more in it: what is left of a row of requests is the same as ever. *)
let what_is_left () =
  let t = Resp.create () in
  let large = Printf.sprintf "*1\r\n$20000\r\n%s\r\n" (String.make 20000 'K') in
  let sets = String.concat "" (List.init 100 (fun _ -> set)) in
  Resp.feed t (Cstruct.of_string (large ^ sets ^ "get k"));
  check "the large one" (`Request [ String.make 20000 'K' ]) (next t);
  for _ = 1 to 100 do
    check "each" (`Request [ "SET"; "k"; "a\r\nb\n" ]) (next t)
  done;
  check "the line's beginning" `More (next t);
  Resp.feed t (Cstruct.of_string "ey\r\n");
  check "the line" (`Request [ "GET"; "key" ]) (next t);
  check "no more" `More (next t);
  Alcotest.(check int) "held" 0 (Resp.held t)

(* Words of the OCaml heap for each of a pipeline's requests: its bytes, once, and nothing else. *)
let few_words () =
  let t = Resp.create () and set_command = Resp.letters "SET" in
  let replies = Reply.create () in
  let request = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nxyz\r\n" in
  let pipeline = Cstruct.of_string (String.concat "" (List.init 16 (fun _ -> request))) in
  let before = Gc.minor_words () in
  for _ = 1 to 100 do
    Resp.feed t pipeline;
    for _ = 1 to 16 do
      match Resp.next t with
      | `Request when Resp.command t = set_command && Resp.count t = 3 ->
          Reply.integer replies (Resp.length t 1);
          Reply.ok replies
      | _ -> Alcotest.fail "a request"
    done;
    ignore (Reply.take replies : Cstruct.t)
  done;
  let words = int_of_float ((Gc.minor_words () -. before) /. 1600.) in
  if words > 8 then Alcotest.failf "%d words" words

let replies () =
  let says expected f =
    let b = Reply.create () in
    f b;
    Alcotest.(check string) expected expected (Cstruct.to_string (Reply.take b))
  in
  says "+OK\r\n" (fun b -> Reply.simple b "OK");
  says "-ERR no\r\n" (fun b -> Reply.error b "no");
  List.iter
    (fun n ->
      says (Printf.sprintf ":%d\r\n" n) (fun b -> Reply.integer b n);
      says (Printf.sprintf ":%d\r\n" n) (fun b -> Reply.integer64 b (Int64.of_int n)))
    [ 0; 9; 10; 99; 100; 1234567890; -1; -10; max_int; min_int ];
  says "$3\r\na\r\n\r\n" (fun b -> Reply.bulk b (Some "a\r\n"));
  says "$0\r\n\r\n" (fun b -> Reply.bulk b (Some ""));
  says "$-1\r\n" (fun b -> Reply.bulk b None);
  says "*12\r\n" (fun b -> Reply.array b 12)

(* A command that was refused before it could be kept voids what came before it and what comes after. *)
let cancelled () =
  let commands = Alcotest.(option (list (list string))) in
  let add t words =
    Alcotest.(check (result unit string)) "kept" (Ok ()) (Transaction.add t words)
  in
  let t = Transaction.create () in
  add t [ "INCR"; "n" ];
  Alcotest.check commands "whole" (Some [ [ "INCR"; "n" ] ]) (Transaction.commands t);
  Transaction.cancel t;
  Alcotest.check commands "void" None (Transaction.commands t);
  add t [ "INCR"; "n" ];
  Alcotest.check commands "still void" None (Transaction.commands t)

(* What an error repeats of a client's words stays within its line. *)
let shown () =
  let t = Transaction.create () in
  Alcotest.(check (result unit string))
    "one line" (Error "A??+B is not for transactions") (Transaction.add t [ "A\r\n+B" ]);
  match Transaction.add t [ String.make 100000 'X' ] with
  | Ok () -> Alcotest.fail "not for transactions"
  | Error e -> Alcotest.(check bool) "a short one" true (String.length e < 100)

let () =
  Alcotest.run "kv"
    [
      ( "resp",
        [
          case "whole_requests" whole;
          case "requests_in_pieces" pieces;
          case "requests_in_one_piece" pipeline;
          case "a_request_has_a_bound" too_large;
          case "many_words_cost_more_than_their_bytes" costs;
          case "inline_commands_have_no_more_words" inline_words;
          case "nonsense_is_refused" malformed;
          case "small_pieces" small_pieces;
          case "short_words_are_no_command" short_words;
          case "nothing_is_held_between_requests" nothing_is_held_between_requests;
          case "nothing_large_stays_behind_its_request" nothing_large_stays;
          case "large_requests_in_a_row_share_a_buffer" large_ones_in_a_row;
          case "what_is_left_of_a_buffer_is_the_same" what_is_left;
          case "a_request_takes_few_words" few_words;
        ] );
      ("replies", [ case "as_they_are_written" replies ]);
      ("transactions", [ case "cancelled" cancelled; case "an_error_is_one_line" shown ]);
    ]
